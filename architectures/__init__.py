"""Networks, in torch alone: nothing here imports nnU-Net."""

from nnunet_cardiac.architectures.classifier_guided import ClassifierGuidedNet
from nnunet_cardiac.architectures.e2a_unet import E2AUNet
from nnunet_cardiac.architectures.halsr_net import HALSRNet
from nnunet_cardiac.architectures.roi_regressor import ROIRegressor
from nnunet_cardiac.architectures.specialists import SpecialistNetworks

__all__ = ["ClassifierGuidedNet", "E2AUNet", "HALSRNet", "ROIRegressor", "SpecialistNetworks"]
