"use strict";
// Turns a scene: an image holds the frames of a full turn, row by row, and its box shows one of them.
const turning = (() => {
  const { frames, columns, rows, rest } = Object.fromEntries(
    Object.entries(document.body.dataset).map(([name, value]) => [name, Number(value)]),
  );
  const SECONDS = 2.5;
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  let spinning = 0;

  /** Show a frame, counted from the one at rest; any whole number is on the circle. */
  function show(image, offset) {
    const frame = (((rest + offset) % frames) + frames) % frames;
    const x = (-100 * (frame % columns)) / columns;
    const y = (-100 * Math.floor(frame / columns)) / rows;
    image.style.transform = `translate(${x}%, ${y}%)`;
    image.dataset.offset = offset;
  }

  /** Turn once around, unless motion is not wanted; `stop` or another turn ends it. */
  function spin(image) {
    stop();
    if (still.matches) return;
    const start = performance.now();
    const step = (now) => {
      const share = Math.min(1, Math.max(0, now - start) / 1000 / SECONDS);
      show(image, Math.round(share * frames) % frames);
      spinning = share < 1 ? requestAnimationFrame(step) : 0;
    };
    spinning = requestAnimationFrame(step);
  }

  function stop() {
    cancelAnimationFrame(spinning);
    spinning = 0;
  }

  /** Turn by a number of frames. */
  function by(image, count) {
    stop();
    show(image, Number(image.dataset.offset ?? 0) + count);
  }

  return { frames, show, spin, stop, by };
})();
