"""How the numbers of a page are measured, in words."""

from __future__ import annotations

DEFINITIONS = (
    "A boundary is the mask minus its erosion by the face-connected element, with background outside the image; "
    "distances are Euclidean between voxel centres, in mm, with the voxel size of the file.",
    "HD: largest boundary distance. HD95 pooled: 95th percentile of both directed sets together; max. of directed: "
    "the larger of the two directed percentiles. ASD pooled: mean of both sets together. ASSD mean of means: half the "
    "sum of the two directed means. Surface Dice: share of both boundaries, in voxels, within the tolerance.",
    "Slice levels: slices with any reference label, cut into even thirds from the base, which is the end with larger "
    "cavities. Dice by level pools the voxels of a level within a case; distances by level are means of 2D distances "
    "over its slices.",
    "Volume: voxels times slice distance. Mass: 1.05 g/mL. EF: 100 · (EDV − ESV) / EDV. ED and ES come from the "
    "patient table, or are the frames with the largest and smallest reference volume of the left ventricle. "
    "Differences in agreement are reference − prediction.",
    "Wall thickness: length within the myocardium of rays from the centroid of the cavity, mean over the rays of a "
    "segment (AHA 17 segments; the cap, segment 17, has no radial thickness). The septum's middle is where the wall "
    "touches the right ventricle. Thickening: 100 · (ES − ED) / ED.",
)
