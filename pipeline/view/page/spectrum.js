// A spectrogram: windows of 25 ms every 10 ms or more, on 512 points, in decibels.
"use strict";

// The fast Fourier transform in place, of 2^n points (Cooley and Tukey 1965).
vx.fft = (re, im) => {
  const n = re.length;
  for (let i = 1, j = 0; i < n; i++) {
    let bit = n >> 1;
    for (; j & bit; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i < j) { [re[i], re[j]] = [re[j], re[i]]; [im[i], im[j]] = [im[j], im[i]]; }
  }
  for (let size = 2; size <= n; size <<= 1) {
    const turn = (-2 * Math.PI) / size;
    for (let k = 0; k < size / 2; k++) {
      const c = Math.cos(turn * k), s = Math.sin(turn * k);
      for (let i = k; i < n; i += size) {
        const j = i + size / 2, x = re[j] * c - im[j] * s, y = re[j] * s + im[j] * c;
        re[j] = re[i] - x; im[j] = im[i] - y; re[i] += x; im[i] += y;
      }
    }
  }
};

vx.drawSpectrum = (canvas, samples) => {
  const window_ = 400, size = 512, height = 128, columns = Math.max(1, Math.min(canvas.width, Math.floor(samples.length / 160)));
  const hann = Float32Array.from({ length: window_ }, (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / (window_ - 1)));
  const image = new ImageData(columns, height), re = new Float32Array(size), im = new Float32Array(size);
  for (let x = 0; x < columns; x++) {
    const start = Math.floor((x * Math.max(0, samples.length - window_)) / columns);
    re.fill(0); im.fill(0);
    for (let i = 0; i < window_ && start + i < samples.length; i++) re[i] = samples[start + i] * hann[i];
    vx.fft(re, im);
    for (let y = 0; y < height; y++) {
      const bin = Math.floor((y * (size / 2)) / height), power = re[bin] * re[bin] + im[bin] * im[bin];
      const level = Math.min(1, Math.max(0, (10 * Math.log10(power + 1e-9) + 45) / 70)), at = 4 * ((height - 1 - y) * columns + x);
      image.data.set([255 * Math.min(1, 2.2 * level * level), 255 * level ** 1.6, 60 + 150 * Math.sin(Math.PI * Math.min(1, level * 0.9)), 255], at);
    }
  }
  const small = vx.el("canvas", { width: columns, height });
  small.getContext("2d").putImageData(image, 0, 0);
  canvas.getContext("2d").drawImage(small, 0, 0, canvas.width, canvas.height);
};

vx.drawWave = (canvas, samples, from, to) => {
  const pen = canvas.getContext("2d"), style = getComputedStyle(document.body), middle = canvas.height / 2;
  pen.fillStyle = style.getPropertyValue("--panel");
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.fillStyle = style.getPropertyValue("--ground");
  pen.fillRect((from / samples.length) * canvas.width, 0, ((to - from) / samples.length) * canvas.width, canvas.height);
  pen.fillStyle = style.getPropertyValue("--wave");
  let peak = 0.02; // the loudest sample fills the height
  for (const one of samples) peak = Math.max(peak, Math.abs(one));
  for (let x = 0; x < canvas.width; x++) {
    let low = 0, high = 0;
    const end = Math.ceil(((x + 1) * samples.length) / canvas.width);
    for (let i = Math.floor((x * samples.length) / canvas.width); i < end; i++) { if (samples[i] < low) low = samples[i]; if (samples[i] > high) high = samples[i]; }
    pen.fillRect(x, middle - (high * middle) / peak, 1, Math.max(1, ((high - low) * middle) / peak));
  }
};
