"use strict";
// A scene's turntable: dragged with the mouse or a finger, turned with keys.
(() => {
  const back = document.getElementById("back");
  try {
    back.hash = sessionStorage.getItem(`tda-list ${back.pathname}`) ?? ""; // as it was searched and sorted last
  } catch {} // nothing can be kept: the whole list then

  const box = document.getElementById("turn");
  if (!box) return;
  const image = box.firstElementChild;
  const KEYS = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 };
  KEYS.PageUp = Math.ceil(turning.frames / 8);
  KEYS.PageDown = -KEYS.PageUp;
  let held = null;

  function tell() {
    const offset = Number(image.dataset.offset ?? 0);
    const frame = ((offset % turning.frames) + turning.frames) % turning.frames;
    const degrees = Math.round((360 * frame) / turning.frames);
    box.setAttribute("aria-valuenow", degrees);
    box.setAttribute("aria-valuetext", `${degrees} degrees`);
  }

  box.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key === "Home") turning.show(image, 0);
    else if (event.key === "End") turning.show(image, turning.frames - 1);
    else if (event.key in KEYS) turning.by(image, KEYS[event.key]);
    else return;
    event.preventDefault();
    tell();
  });
  box.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    box.setPointerCapture(event.pointerId);
    held = { x: event.clientX, offset: Number(image.dataset.offset ?? 0) };
  });
  box.addEventListener("pointermove", (event) => {
    if (!held) return;
    const turns = (event.clientX - held.x) / box.clientWidth;
    turning.show(image, held.offset + Math.round(turns * turning.frames));
    tell();
  });
  for (const end of ["pointerup", "pointercancel"]) box.addEventListener(end, () => (held = null));
  tell();
})();
