// The page's configuration; docs/how-to/use-with-prebid.md shows this file.
pbjs.que.push(() => {
  const { haat, publisher, bidder } = window.settings;
  const bid = (placement) =>
    bidder === "haat"
      ? { bidder: "haat", params: { placement } }
      : { bidder, params: { account: publisher, placement, endpoint: `${haat}/openrtb2/auction` } };

  pbjs.setConfig({ deviceAccess: false });
  if (bidder === "haat") {
    const endpoint = `${haat}/openrtb2/auction`;
    pbjs.setConfig({
      s2sConfig: [{
        accountId: publisher,
        bidders: ["haat"],
        adapter: "prebidServer",
        enabled: true,
        timeout: 1000,
        endpoint: { p1Consent: endpoint, noP1Consent: endpoint },
      }],
    });
  }
  pbjs.setConfig({ ortb2: { site: { cat: ["IAB18"], pagecat: ["fashion"] } } });

  // What an impression costs at least, per thousand.
  const ortb2Imp = { bidfloor: 0.5, bidfloorcur: "EUR" };

  pbjs.addAdUnits([
    {
      code: "banner",
      ortb2Imp,
      mediaTypes: { banner: { sizes: [[300, 250]] } },
      bids: [bid("shop-banner")],
    },
    {
      code: "native-frame",
      ortb2Imp,
      mediaTypes: {
        native: {
          ortb: {
            ver: "1.2",
            assets: [
              { id: 1, required: 1, title: { len: 80 } },
              { id: 2, required: 1, img: { type: 3, wmin: 100, hmin: 100 } },
              { id: 3, required: 0, data: { type: 2, len: 100 } },
              { id: 4, required: 0, data: { type: 12, len: 20 } },
            ],
            eventtrackers: [{ event: 1, methods: [1] }],
          },
        },
      },
      bids: [bid("shop-native")],
    },
    {
      code: "video",
      ortb2Imp,
      mediaTypes: {
        video: {
          context: "instream",
          playerSize: [640, 360],
          mimes: ["video/webm", "video/mp4"],
          protocols: [7, 13],
          minduration: 1,
          maxduration: 30,
        },
      },
      bids: [bid("shop-video")],
    },
  ]);

  pbjs.onEvent("bidWon", (won) => said.won.push(won.adUnitCode));
  pbjs.onEvent("adRenderFailed", (failed) => said.failed.push(failed.reason + ": " + failed.message));

  pbjs.requestBids({
    timeout: 5000,
    bidsBackHandler: () => {
      const best = (code) => pbjs.getHighestCpmBids(code)[0];
      for (const code of ["banner", "native-frame", "video"]) said.bids[code] = JSON.parse(JSON.stringify(best(code) || null));
      for (const code of ["banner", "native-frame"]) {
        if (best(code)) pbjs.renderAd(document.getElementById(code).contentDocument, best(code).adId);
      }
      const video = best("video");
      if (video) {
        play(document.getElementById("video"), video.vastUrl).then(() => {
          pbjs.markWinningBidAsUsed({ adId: video.adId, events: true });
          said.played = true;
        });
      }
      said.done = true;
    },
  });
});
