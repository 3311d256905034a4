// What sounds in the page: players, one sound at a time, and a bar for what is playing.
// Everything is delegated from the document, because Gradio replaces results as a whole.
(() => {
  const page = (window.raclap = { channels: {} });
  const single = new Audio(); // for cells and dots, which have no player of their own

  // ---- one sound at a time
  // Gradio's own player keeps its sound in a shadow root, where neither a query nor an event reaches.
  const begun = new Set(), begin = HTMLMediaElement.prototype.play;
  HTMLMediaElement.prototype.play = function () {
    hush(this);
    begun.add(this);
    if (block(this))
      for (const kind of ["play", "pause", "ended", "timeupdate"]) this.addEventListener(kind, overhear);
    return begin.call(this);
  };
  const block = (audio) => audio.getRootNode().host?.closest(".block"); // of Gradio's player, none of ours
  const overhear = ({ target, type }) => {
    if (target.isConnected) tell(block(target), target, type);
    else if (target === sound) bar.hidden = true; // its voice was taken away
  };
  const hush = (but) => begun.forEach((each) => {
    if (each !== but) each.pause();
    if (each !== but && !each.isConnected) begun.delete(each);
  });
  const start = (audio) => {
    if (audio.error) audio.load(); // the network may be back
    audio.play().catch(() => {});
  };
  page.sound = (address, audio = single) => {
    if (audio.src === new URL(address, document.baseURI).href && !audio.paused) return audio.pause();
    audio.src = address;
    start(audio);
  };

  // ---- a player
  const minutes = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
  const clock = (at, all, between) =>
    all < 60 ? `${at.toFixed(1)}${between}${all.toFixed(1)} s` : `${minutes(at)}${between}${minutes(all)}`;
  const mark = (player, audio) => {
    const { currentTime: at, duration: all } = audio, share = all ? at / all : 0;
    player.style.setProperty("--at", `${100 * share}%`);
    const seek = player.querySelector(".seek");
    if (all) {
      seek.step = Math.min(25, 1000 / all); // an arrow key goes on by a second, in a short clip by less
      seek.ariaValueText = clock(at, all, " of ");
      player.querySelector(".clock").textContent = clock(at, all, " / ");
    }
    seek.value = 1000 * share;
  };
  const title = (player) => player.querySelector(".play").ariaLabel.replace(/^(Play|Pause) /, "");
  const press = (audio) => (audio.paused ? start(audio) : audio.pause());

  for (const kind of ["play", "pause", "ended", "timeupdate", "loadedmetadata", "error"])
    document.addEventListener(kind, (event) => {
      const audio = event.target, player = audio.closest?.(".player");
      if (audio.tagName !== "AUDIO") return;
      if (kind === "play") { begun.add(audio); hush(audio); }
      if (!player) return;
      const playing = !audio.paused && !audio.ended, button = player.querySelector(".play");
      player.classList.toggle("playing", playing);
      button.ariaLabel = `${playing ? "Pause" : "Play"} ${title(player)}`;
      if (kind === "error") player.querySelector(".clock").textContent = "cannot be played";
      else mark(player, audio);
      tell(player, audio, kind);
    }, true);
  document.addEventListener("input", (event) => {
    if (!event.target.matches?.(".seek")) return;
    const audio = event.target.closest(".player").querySelector("audio");
    const share = event.target.value / 1000;
    const go = () => { audio.currentTime = share * audio.duration; };
    if (audio.duration) go();
    else { audio.addEventListener("loadedmetadata", go, { once: true }); audio.load(); }
  });
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.(".player .play");
    if (button) press(button.closest(".player").querySelector("audio"));
  });
  // A clip is small: fetched on the way to its button, it starts at once.
  for (const kind of ["pointerover", "focusin"])
    document.addEventListener(kind, (event) => {
      const audio = event.target.closest?.(".player")?.querySelector("audio[preload=none]");
      if (audio) audio.preload = "auto";
    });

  // ---- what is playing, with the one before and after it, in view on every tab
  const bar = document.createElement("section");
  bar.id = "now-playing";
  bar.ariaLabel = "Now playing";
  bar.hidden = true;
  bar.innerHTML = `<b></b><span class="clock"></span>
    <button type="button" data-step="-1" aria-label="Previous clip"></button>
    <button type="button" class="play"></button>
    <button type="button" data-step="1" aria-label="Next clip"></button>
    <button type="button" data-on aria-pressed="false" title="Go on to the next clip by itself">Play on</button>
    <button type="button" data-away aria-label="Close">×</button>`;
  const part = (selector) => bar.querySelector(selector);
  let current, sound; // the player that the bar is of, and its audio
  const step = (by, from = current) => {
    const all = [...(from.closest("ol")?.querySelectorAll(".player") ?? [])], next = all[all.indexOf(from) + by];
    if (!next) return;
    start(next.querySelector("audio"));
    next.scrollIntoView({ block: "nearest" });
    return next;
  };
  const tell = (player, audio, kind) => {
    if (kind === "play") {
      [current, sound] = [player, audio];
      bar.hidden = false;
      bar.classList.toggle("alone", !player.closest("ol"));
      if (!bar.isConnected) document.querySelector(".gradio-container .contain").append(bar);
    }
    if (player !== current) return;
    const playing = !audio.paused && !audio.ended, ours = player.matches(".player");
    part("b").textContent = ours ? title(player) : "Your voice";
    bar.classList.toggle("playing", playing);
    part(".play").ariaLabel = playing ? "Pause" : "Play";
    part(".clock").textContent = ours
      ? player.querySelector(".clock").textContent : clock(audio.currentTime, audio.duration, " / ");
    if (kind === "ended" && part("[data-on]").ariaPressed === "true") step(1);
  };
  bar.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    if (button.dataset.step) step(Number(button.dataset.step));
    else if (button.matches(".play")) press(sound);
    else if (button.matches("[data-on]")) button.ariaPressed = String(button.ariaPressed !== "true");
    else { sound.pause(); bar.hidden = true; }
  });
  // A clip that goes with the results it was among is silent, and tells the document nothing of it.
  new MutationObserver(() => { bar.hidden ||= !current.isConnected; })
    .observe(document, { childList: true, subtree: true });

  // ---- keys: an arrow down leads to the first result, and on from clip to clip; "/" back to the box
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const at = (selector) => event.target.closest?.(selector), box = at(".ask textarea");
    const seen = (selector) => [...document.querySelectorAll(selector)].find((each) => each.getClientRects().length);
    let to;
    if (event.key === "/" && at(".hits")) to = seen(".ask textarea"); // there alone: who dictates types it anywhere
    else if (event.key === "ArrowDown" && box && box.selectionStart === box.value.length) to = seen(".hit .play");
    else if (["ArrowDown", "ArrowUp"].includes(event.key) && at("ol .play"))
      to = step(event.key === "ArrowDown" ? 1 : -1, at(".player"))?.querySelector(".play");
    if (!to) return;
    event.preventDefault();
    to.focus();
    to.select?.();
  });
})();
