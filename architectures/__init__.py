"""Networks, in torch alone: nothing here imports nnU-Net."""

from nnunet_cardiac.architectures.classifier_guided import ClassifierGuidedNet
from nnunet_cardiac.architectures.dilated_residual_joint import JointDilatedResidualUNet
from nnunet_cardiac.architectures.dilated_residual_unet import DilatedResidualUNet
from nnunet_cardiac.architectures.e2a_unet import E2AUNet
from nnunet_cardiac.architectures.gcam_localiser import GCAMLocaliser
from nnunet_cardiac.architectures.halsr_net import HALSRNet
from nnunet_cardiac.architectures.roi_regressor import ROIRegressor
from nnunet_cardiac.architectures.specialists import SpecialistNetworks

__all__ = [
    "ClassifierGuidedNet",
    "DilatedResidualUNet",
    "E2AUNet",
    "GCAMLocaliser",
    "HALSRNet",
    "JointDilatedResidualUNet",
    "ROIRegressor",
    "SpecialistNetworks",
]
