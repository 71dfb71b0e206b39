"""Whole cases for our networks in nnU-Net's own predictor, which `nnUNetv2_predict` and every validation use.

Neither plans nor a trainer can tell that predictor to give a network a whole case. So `install` puts one method in
front of `nnUNetPredictor.predict_sliding_window_return_logits`. Networks with a method `predict_case` get the case;
for all others the method is nnU-Net's own, unchanged. nnU-Net imports a model's trainer before it predicts, and the
trainers of this package call `install`.
"""

from __future__ import annotations

import functools
from contextlib import nullcontext

import torch
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

from nnunet_cardiac.cascade.whole_cases import WholeCase, predict_case, predicts_cases


def install() -> None:
    """Let nnU-Net's predictor give whole cases to the networks that ask for them; a second call changes nothing."""
    stock = nnUNetPredictor.predict_sliding_window_return_logits
    if getattr(stock, "gives_whole_cases", False):
        return

    @functools.wraps(stock)
    @torch.inference_mode()
    def predict_sliding_window_return_logits(self: nnUNetPredictor, input_image: torch.Tensor) -> torch.Tensor:
        if not predicts_cases(self.network):
            return stock(self, input_image)
        self.network = self.network.to(self.device).eval()
        axes = self.allowed_mirroring_axes if self.use_mirroring else None
        case = WholeCase.of(self.configuration_manager.configuration, axes)
        with torch.autocast("cuda") if self.device.type == "cuda" else nullcontext():
            return predict_case(self.network, input_image, case, self.device)

    vars(predict_sliding_window_return_logits)["gives_whole_cases"] = True
    nnUNetPredictor.predict_sliding_window_return_logits = predict_sliding_window_return_logits
