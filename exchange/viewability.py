"""When was an ad in view? Half of its pixels for one second, two for a video (MRC Viewable Ad Impression Guidelines).

The script is served as /viewable.js. A page that shows ads includes it once; it watches every element that carries
`data-viewable`, the address to call, and calls it once. A video says so with `data-viewable-ms="2000"`, an ad of more
than 242,500 pixels needs 30 % (the guidelines' rule for large ads). What is put into the page later is watched too.
Time counts only while the page itself is in view, and a viewable second is one without a gap.
"""

from __future__ import annotations

from typing import Final

SCRIPT: Final = """\
(() => {
  "use strict";
  if (window.haatViewable || !("IntersectionObserver" in window)) return;
  const LARGE = 242500, due = new Map(), watched = new WeakSet();
  const tell = (address) => {
    if (!(navigator.sendBeacon && navigator.sendBeacon(address))) new Image().src = address;
  };
  const stop = (ad) => { clearTimeout(due.get(ad)); due.delete(ad); };
  const observer = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      const ad = entry.target, box = entry.boundingClientRect;
      const least = box.width * box.height > LARGE ? 0.3 : 0.5;
      const inView = entry.isIntersecting && entry.intersectionRatio >= least && document.visibilityState === "visible";
      if (!inView) { stop(ad); continue; }
      if (due.has(ad)) continue;
      const wait = Math.max(Number(ad.dataset.viewableMs) || 1000, 1000);
      due.set(ad, setTimeout(() => {
        due.delete(ad);
        observer.unobserve(ad);
        if (document.visibilityState === "visible" && ad.isConnected) tell(ad.dataset.viewable);
      }, wait));
    }
  }, { threshold: [0, 0.3, 0.5] });
  const watch = (root) => {
    const found = root.querySelectorAll ? [...root.querySelectorAll("[data-viewable]")] : [];
    if (root.matches && root.matches("[data-viewable]")) found.push(root);
    for (const ad of found) if (!watched.has(ad)) { watched.add(ad); observer.observe(ad); }
  };
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible") {
      // Observing anew makes the observer say where each ad stands now.
      document.querySelectorAll("[data-viewable]").forEach((ad) => {
        if (watched.has(ad) && !due.has(ad)) { observer.unobserve(ad); observer.observe(ad); }
      });
    } else [...due.keys()].forEach(stop);
  });
  new MutationObserver((changes) => changes.forEach((c) => c.addedNodes.forEach(watch)))
    .observe(document.documentElement, { childList: true, subtree: true });
  window.haatViewable = { watch };
  watch(document);
})();
"""
