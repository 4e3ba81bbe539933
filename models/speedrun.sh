#!/usr/bin/env bash
# From raw audio to a model that was trained on it, and how well it does for people whom it never heard. The whole way in one file:
#
#     make speedrun                      # half an hour of raw audio; WORK=folder MINUTES=60 STEPS=300 for other sizes
#
#   1. raw recordings of acted English, which nobody transcribed, and a test of other people with its true words
#   2. voxmill run: speech found, transcribed twice, kept where both agree, packed into shards
#   3. voxmill train -c whisper: Whisper base with elastic experts learns from these shards
#   4. voxmill evaluate: Whisper as it came, and the student, on the test
#
# Called again it goes on where it was stopped. What improved it, and by how much: the board in docs/how-to/train.md.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
PATH="$PWD/.venv/bin:$PATH"
WORK=${WORK:-runs/speedrun} MINUTES=${MINUTES:-30} STEPS=${STEPS:-120}
began=$SECONDS
mkdir -p "$WORK"

echo "== 1. raw audio"
test -f "$WORK/audio.done" || { python tests/speech/acted_corpus.py "$WORK" --minutes "$MINUTES" && touch "$WORK/audio.done"; }

echo "== 2. shards"
cat > "$WORK/learn.yaml" <<YAML
sources:
  - {name: play, path: $WORK/raw, language: en, licence: LicenseRef-Flight-of-the-Amazon-Queen}
transcribe:
  - {kind: whisperx, name: whisperx, model: whisper-base, languages: [en]}
  - {kind: moonshine, name: moonshine, model: moonshine-tiny-en}
YAML
cat > "$WORK/judge.yaml" <<YAML
sources:
  - {name: play, path: $WORK/test, kind: nemo, language: en, licence: LicenseRef-Flight-of-the-Amazon-Queen}
transcribe:
  - {kind: given, name: given}
  - {kind: moonshine, name: moonshine, model: moonshine-tiny-en}
reconcile:
  prefer: {"*": [given]}
select: {dev_share: 0, test_share: 0}
YAML
voxmill run -c "$WORK/learn.yaml" -o "$WORK/learn"
voxmill run -c "$WORK/judge.yaml" -o "$WORK/judge"
voxmill stats "$WORK/learn"

echo "== 3. the student"
recipe=(-c whisper --shards "$WORK/learn/shards" --set train.rate.warmup=10 --set train.average=0.95)
voxmill train "${recipe[@]}" --out "$WORK/start" --steps 1 --set train.rate.peak=1e-12
voxmill train "${recipe[@]}" --out "$WORK/student" --steps "$STEPS"

echo "== 4. people whom it never heard"
for model in start student; do
    voxmill evaluate --model "$WORK/$model" --shards "$WORK/judge/shards" --split train   # all of it: this run has one split
done
echo "the whole way took $((SECONDS - began)) s"
