// Plays a segment, alone or with what comes before and after it, and draws its waveform and spectrogram.
"use strict";

vx.player = (params, answer) => {
  const place = answer.audio, span = answer.span;
  const box = vx.el("section", { class: "player", "aria-label": "Sound" });
  if (!place.source) {
    box.append(vx.el("p", {}, `It cannot be heard: ${place.why}.`));
    return box;
  }
  const from = (span.start - place.start) / 16000, to = Math.min(from + span.num_samples / 16000, place.num_samples / 16000);
  const audio = vx.el("audio", { controls: true, preload: "auto", "aria-label": "Segment with context" });
  const heads = [vx.el("i", { class: "head" }), vx.el("i", { class: "head" })];
  const wave = vx.el("canvas", { width: 1200, height: 110, role: "img", "aria-label": "Waveform: the segment is light, its context dark" });
  const spectrum = vx.el("canvas", { width: 1200, height: 160, role: "img", "aria-label": "Spectrogram, 0 to 8 kHz" });
  let until = Infinity;
  const play = (start, end) => { until = end; audio.currentTime = start; audio.play().catch(error => vx.say(error.message)); };
  const length = () => audio.duration || place.num_samples / 16000;
  const tick = () => {
    for (const head of heads) head.style.left = `${(100 * audio.currentTime) / length()}%`;
    if (audio.currentTime >= until) { audio.pause(); until = Infinity; }
    if (!audio.paused && box.isConnected) requestAnimationFrame(tick);
  };
  audio.addEventListener("play", tick);
  audio.addEventListener("seeked", tick);
  vx.playing = { segment: () => (audio.paused ? play(from, to) : audio.pause()), context: () => (audio.paused ? play(0, Infinity) : audio.pause()), audio };
  const seek = event => { const area = event.currentTarget.getBoundingClientRect(); play(((event.clientX - area.left) / area.width) * length(), Infinity); };
  const surround = place.source === "original" && place.num_samples > span.num_samples;
  box.append(
    vx.el("div", { class: "buttons" },
      vx.el("button", { type: "button", class: "first", id: "play", onclick: vx.playing.segment }, "Play segment ", vx.el("kbd", {}, "space")),
      surround && vx.el("button", { type: "button", id: "play-context", onclick: vx.playing.context }, "Play with context ", vx.el("kbd", {}, "c")),
      audio,
      vx.el("span", { class: "soft" }, place.source === "shard" ? "from its shard: the original is not there any more, so there is no context" : `from the original; ${vx.number(from, 1)} s before and ${vx.number(place.num_samples / 16000 - to, 1)} s after`,
        (place.silent || []).length ? `; ${place.silent.length} stretches with personal data are silent` : "")),
    vx.el("div", { class: "canvas", onclick: seek }, wave, heads[0]),
    vx.el("div", { class: "canvas", onclick: seek }, spectrum, heads[1]));
  vx.sound(params).then(async bytes => {
    const url = URL.createObjectURL(new Blob([bytes], { type: "audio/flac" }));
    audio.src = url;
    vx.leaving.push(() => { audio.pause(); audio.removeAttribute("src"); URL.revokeObjectURL(url); });
    const decoded = await new OfflineAudioContext(1, 1, 16000).decodeAudioData(bytes.slice(0));
    const samples = decoded.getChannelData(0);
    vx.drawWave(wave, samples, span.start - place.start, Math.min(samples.length, span.start - place.start + span.num_samples));
    vx.drawSpectrum(spectrum, samples);
    box.dataset.drawn = samples.length;
  }).catch(error => box.append(vx.el("p", { class: "bad" }, error.message)));
  return box;
};
