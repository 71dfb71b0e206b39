#!/usr/bin/env bash
# Train nnU-Net's 2d network and both stages of CroCNet on real ACDC data with stock commands, predict unseen patients and
# append Dice and times to a table. Needs a GPU; not a test that pytest collects.
#
#   tests/scripts/gpu/acdc_chain.sh RAW_DATASET WORK EPOCHS BATCH TABLE.jsonl
#
# RAW_DATASET   Dataset027_ACDC in nnU-Net's raw format with imagesTs and labelsTs of unseen patients
# WORK          folder for nnU-Net's three folders; what is preprocessed or trained there already is used again
# EPOCHS        5, 10, 20 or another length for which nnU-Net has a trainer; 250 steps each
# BASELINE, CROCNET (variables)   other trainers; an empty BASELINE leaves nnU-Net out
# BATCH         slices a step, written into the plans: the same number of samples for every network
set -euo pipefail

raw=$1 work=$2 epochs=$3 batch=$4 table=$5
export nnUNet_raw=$work/nnUNet_raw nnUNet_preprocessed=$work/nnUNet_preprocessed nnUNet_results=$work/nnUNet_results
mkdir -p "$nnUNet_raw" "$nnUNet_preprocessed" "$nnUNet_results"
[ -e "$nnUNet_raw/Dataset027_ACDC" ] || cp -r "$raw" "$nnUNet_raw/Dataset027_ACDC"
cli() { python3 -m nnunet_cardiac.cli "$@"; }
eval "$(cli env --shell bash)"

if [ ! -d "$nnUNet_preprocessed/Dataset027_ACDC/nnUNetPlans_2d" ]; then
    nnUNetv2_plan_and_preprocess -d 27 -c 2d -np 8 -npfp 8 >"$work/preprocess.log" 2>&1
fi
python3 - "$nnUNet_preprocessed/Dataset027_ACDC/nnUNetPlans.json" "$batch" <<'PYTHON'
import json, sys
plans = json.load(open(sys.argv[1]))
plans["configurations"]["2d"]["batch_size"] = int(sys.argv[2])
json.dump(plans, open(sys.argv[1], "w"), indent=4)
PYTHON
# One fold is trained, so the second stage's training cases get simulated coarse labels.
cli plan -d 27 --coarse simulated

train() { # TRAINER CONFIGURATION
    local start=$SECONDS
    nnUNetv2_train 27 "$2" 0 -tr "$1" >"$work/train_$1_$2.log" 2>&1 || { tail -n 30 "$work/train_$1_$2.log"; return 1; }
    echo "$1 $2: trained in $((SECONDS - start)) s, $(grep 'Mean Validation Dice' "$work/train_$1_$2.log" | tail -n 1)"
}

predict() { # TRAINER CONFIGURATION [OPTION...]
    local out=$work/predictions_$1_$2
    nnUNetv2_predict -i "$nnUNet_raw/Dataset027_ACDC/imagesTs" -o "$out" -d 27 -c "$2" -tr "$1" -f 0 "${@:3}" \
        >"$work/predict_$1_$2.log" 2>&1 || { tail -n 30 "$work/predict_$1_$2.log"; return 1; }
    python3 "$(dirname "$0")/score.py" "$nnUNet_raw/Dataset027_ACDC" "$out" "$work/train_$1_$2.log" "$1" "$2" "$table"
}

baseline=${BASELINE-nnUNetTrainer_${epochs}epochs}
crocnet=${CROCNET-CroCNetTrainer_nnUNetRecipe_${epochs}epochs}
for trainer in $baseline "$crocnet"; do
    train "$trainer" 2d
    predict "$trainer" 2d
done
train "$crocnet" 2d_crop
predict "$crocnet" 2d_crop -prev_stage_predictions "$work/predictions_${crocnet}_2d"
