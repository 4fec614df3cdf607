// The smallest player of VAST: it fetches the document, plays its film, and calls what wants to be told.
async function play(element, vastUrl) {
  const answer = await fetch(vastUrl, { credentials: "include" });
  const vast = new DOMParser().parseFromString(await answer.text(), "application/xml");
  const all = (selector) => [...vast.querySelectorAll(selector)].map((found) => found.textContent.trim());
  const tell = (urls) => urls.forEach((url) => { new Image().src = url; });
  element.src = all("MediaFile")[0];
  element.addEventListener("ended", () => tell(all('Tracking[event="complete"]')));
  await element.play();
  tell(all("Impression"));
  tell(all('Tracking[event="start"]'));
}
