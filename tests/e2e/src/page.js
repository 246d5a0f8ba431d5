// What a page does to take part, in few words: joins, keeps a WebSocket, negotiates
// each time it is told to, listens for tones. Evaluates to an object that tests call.
(() => {
  const me = { heard: [], roster: [], errors: [], muted: null, welcome: null };
  let socket, token, connection, audio, analyser;
  const views = {};

  const say = (message) => socket.send(JSON.stringify(message));

  async function negotiate(options) {
    const offer = await connection.createOffer(options);
    await connection.setLocalDescription(offer);
    const { sdp } = connection.localDescription;
    say({ type: "offer", sdp: me.detour ? sdp.replace(/^a=candidate:.*\r\n/gm, "") : sdp });
  }

  async function onMessage(message) {
    me.heard.push(message.type);
    switch (message.type) {
      case "welcome": me.welcome = message; me.roster = message.roster; me.muted = message.audioMuted; break;
      case "answer": {
        const sdp = me.detour ? message.sdp.replace(/^(a=candidate:.* 127\.0\.0\.1) \d+ /gm, `$1 ${me.detour} `) : message.sdp;
        await connection.setRemoteDescription({ type: "answer", sdp });
        break;
      }
      case "reoffer": await negotiate({ iceRestart: message.iceRestart }); break;
      case "roster": me.roster = message.participants; break;
      case "muted": me.muted = message.audioMuted; break;
      case "error": me.errors.push(message); break;
    }
  }

  function open() {
    return new Promise((done, failed) => {
      socket = new WebSocket(`wss://${location.host}/api/ws`);
      socket.onopen = () => say({ type: "hello", protocol: 1, token });
      socket.onerror = () => failed(new Error("no socket"));
      socket.onmessage = (event) => {
        const message = JSON.parse(event.data);
        Promise.resolve(onMessage(message)).catch((error) => me.errors.push(String(error)));
        if (message.type === "welcome") done(message);
        if (message.type === "bye") failed(new Error(message.reason));
      };
    });
  }

  me.join = async (callId, name) => {
    const answer = await fetch("/api/join", { method: "POST", body: JSON.stringify({ callId, name }) });
    const joined = await answer.json();
    if (!answer.ok) throw new Error(JSON.stringify(joined));
    token = joined.token;
    await open();
    setInterval(() => socket.readyState === 1 && say({ type: "ping", n: 1 }), 5000);
    return joined;
  };

  // After a break: the same participation, tried until the server is there again.
  me.resume = async () => {
    for (let tries = 0; ; tries++) {
      try { return await open(); }
      catch (error) {
        if (tries === 100) throw error;
        await new Promise((done) => setTimeout(done, 100));
      }
    }
  };

  me.isOpen = () => socket.readyState === 1;
  me.say = say;

  // `only`: through the servers of ours of this transport, and in no other way.
  // `detour`: the server is reached at this port alone, and does not know of ours.
  // `wish`: what the camera is asked for; it is sent in three layers. `codec`: how.
  me.media = async (only, detour, wish = { width: 640, height: 360, frameRate: 30 }, codec) => {
    me.detour = detour;
    const iceServers = !only ? [] : me.welcome.iceServers
      .map((server) => ({ ...server, urls: [server.urls].flat().filter((url) => url.endsWith(only)) }))
      .filter((server) => server.urls.length);
    const stream = await navigator.mediaDevices.getUserMedia({
      audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false },
      video: wish,
    });
    connection = new RTCPeerConnection({
      bundlePolicy: "max-bundle", iceServers, iceTransportPolicy: only ? "relay" : "all",
    });
    me.connection = connection;
    connection.onicecandidate = ({ candidate }) => {
      if (candidate && !detour) say({ type: "candidate", candidate: candidate.candidate, sdpMid: candidate.sdpMid,
        usernameFragment: candidate.usernameFragment });
    };
    const context = new AudioContext();
    connection.ontrack = ({ track, transceiver }) => {
      if (track.kind === "video") {
        const video = document.createElement("video");
        video.muted = true;
        video.srcObject = new MediaStream([track]);
        video.play().catch(() => {});
        views[transceiver.mid] = video;
      }
      if (track.kind !== "audio" || audio) return;
      const received = new MediaStream([track]);
      // Chromium decodes remote sound only where an element plays it, too.
      audio = new Audio();
      audio.muted = true;
      audio.srcObject = received;
      audio.play();
      analyser = context.createAnalyser();
      analyser.fftSize = 32768;
      analyser.smoothingTimeConstant = 0;
      context.createMediaStreamSource(received).connect(analyser);
      me.rate = context.sampleRate;
    };
    connection.addTransceiver(stream.getAudioTracks()[0], { direction: "sendrecv", streams: [stream] });
    const camera = connection.addTransceiver(stream.getVideoTracks()[0], { direction: "sendrecv", streams: [stream],
      sendEncodings: [{ rid: "h" }, { rid: "m", scaleResolutionDownBy: 2 }, { rid: "l", scaleResolutionDownBy: 4 }] });
    if (codec) camera.setCodecPreferences(RTCRtpReceiver.getCapabilities("video").codecs
      .filter(({ mimeType }) => [`video/${codec}`, "video/rtx"].includes(mimeType)));
    connection.addTransceiver("video", { direction: "sendrecv" });
    connection.addTransceiver("audio", { direction: "inactive" });
    await negotiate();
    await new Promise((done, failed) => {
      const end = setTimeout(() => failed(new Error(`connection is ${connection.connectionState}: ${JSON.stringify(me.errors)}`)), 20000);
      const look = () => {
        if (connection.connectionState === "connected") { clearTimeout(end); done(); }
        else setTimeout(look, 50);
      };
      look();
    });
    return connection.connectionState;
  };

  // Level of a tone in what is heard now, dB.
  me.level = (hz) => {
    if (!analyser) return -200;
    const bins = new Float32Array(analyser.frequencyBinCount);
    analyser.getFloatFrequencyData(bins);
    const at = Math.round(hz * analyser.fftSize / me.rate);
    const level = Math.max(...bins.slice(at - 2, at + 3));
    return Number.isFinite(level) ? level : -200;
  };

  // A page of text, as somebody might share it.
  const page = (context) => {
    const { width, height } = context.canvas;
    context.fillStyle = "#c800c8";
    context.fillRect(0, 0, width, height);
    context.fillStyle = "#fff";
    context.font = "24px sans-serif";
    for (let line = 0, top = 60; top < height - 20; line++, top += 32)
      for (let left = 40; left < width - 40; left += 900)
        context.fillText(`Line ${line}: the quick brown fox jumps over the lazy dog, 0123456789`, left, top);
  };

  me.share = async (width = 1280, height = 720) => {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [width, height];
    const context = canvas.getContext("2d");
    let blink = false;
    const draw = () => {
      page(context);
      blink = !blink;
      context.fillStyle = blink ? "#000" : "#fff";
      context.fillRect(0, 0, 4, 4);
    };
    draw();
    setInterval(draw, 100);
    const [track] = canvas.captureStream(10).getVideoTracks();
    track.contentHint = "text";
    const content = connection.getTransceivers().find((transceiver) => transceiver.mid === "2");
    await content.sender.replaceTrack(track);
    say({ type: "content", sharing: true });
    me.unshare = async () => {
      say({ type: "content", sharing: false });
      await content.sender.replaceTrack(null);
    };
    return true;
  };

  // A shared screen's sound, without its picture.
  me.shareSound = async (hz) => {
    const context = new AudioContext();
    const [tone, out] = [context.createOscillator(), context.createMediaStreamDestination()];
    tone.frequency.value = hz;
    tone.connect(out);
    tone.start();
    const sound = connection.getTransceivers().find((transceiver) => transceiver.mid === "3");
    await sound.sender.replaceTrack(out.stream.getAudioTracks()[0]);
    sound.direction = "sendonly";
    await negotiate();
    return true;
  };

  // How like what comes on the screens' m-line is to that page: structural similarity
  // of brightness, over blocks of eight by eight pixels; null before it comes.
  me.likeness = (width = 1280, height = 720) => {
    const video = views["2"];
    if (!video || !video.videoWidth) return null;
    const luma = (draw) => {
      const context = new OffscreenCanvas(width, height).getContext("2d");
      draw(context);
      const { data } = context.getImageData(0, 0, width, height);
      return Float64Array.from({ length: width * height },
        (_, at) => 0.299 * data[4 * at] + 0.587 * data[4 * at + 1] + 0.114 * data[4 * at + 2]);
    };
    const a = luma(page), b = luma((context) => context.drawImage(video, 0, 0, width, height));
    let sum = 0, blocks = 0;
    for (let top = 0; top < height; top += 8) for (let left = 0; left < width; left += 8) {
      let p = 0, q = 0, pp = 0, qq = 0, pq = 0;
      for (let y = top; y < top + 8; y++) for (let x = left; x < left + 8; x++) {
        const [u, v] = [a[y * width + x], b[y * width + x]];
        p += u; q += v; pp += u * u; qq += v * v; pq += u * v;
      }
      [p, q, pp, qq, pq] = [p, q, pp, qq, pq].map((value) => value / 64);
      sum += (2 * p * q + 6.5025) * (2 * (pq - p * q) + 58.5225)
        / ((p * p + q * q + 6.5025) * (pp - p * p + qq - q * q + 58.5225));
      blocks++;
    }
    return { width: video.videoWidth, height: video.videoHeight, ssim: sum / blocks };
  };

  // How the chosen pair of candidates goes: kind of ours, and how we reach the relay.
  me.path = async () => {
    const reports = await connection.getStats();
    const transport = [...reports.values()].find((report) => report.type === "transport");
    const pair = reports.get(transport.selectedCandidatePairId);
    const local = reports.get(pair.localCandidateId);
    return `${local.candidateType}/${local.relayProtocol}`;
  };

  // What is seen on an m-line now: its size, and shares of some colours.
  me.view = (mid, colours) => {
    const video = views[mid];
    if (!video || !video.videoWidth) return null;
    const canvas = new OffscreenCanvas(160, 90);
    const context = canvas.getContext("2d");
    context.drawImage(video, 0, 0, 160, 90);
    const { data } = context.getImageData(0, 0, 160, 90);
    const shares = colours.map((colour) => {
      let count = 0;
      for (let at = 0; at < data.length; at += 4)
        if (colour.every((part, n) => Math.abs(data[at + n] - part) < 48)) count++;
      return count / (160 * 90);
    });
    return { width: video.videoWidth, height: video.videoHeight, shares };
  };

  // Counts the pictures of an m-line from now on; afterwards, the fewest that came in any
  // time of so many milliseconds.
  me.count = (mid) => {
    const video = views[mid], times = [performance.now()];
    let over = false;
    const note = (now) => { times.push(now); if (!over) video.requestVideoFrameCallback(note); };
    video.requestVideoFrameCallback(note);
    me.fewest = (span) => {
      over = true;
      const end = performance.now() - span;
      const counts = times.filter((at) => at <= end)
        .map((from) => times.filter((at) => at > from && at <= from + span).length);
      return Math.min(...counts);
    };
    return true;
  };

  // How much neighbours in a row differ in a part of what is seen: 0 to
  // 255. Drawn at 1280x720, and told with the size that it had.
  me.contrast = (mid, [left, top, width, height]) => {
    const video = views[mid];
    if (!video || !video.videoWidth) return null;
    const context = new OffscreenCanvas(1280, 720).getContext("2d");
    context.drawImage(video, 0, 0, 1280, 720);
    const { data } = context.getImageData(left, top, width, height);
    let sum = 0;
    for (let at = 0; at + 4 < data.length; at += 4) sum += Math.abs(data[at + 1] - data[at + 5]);
    return { height: video.videoHeight, contrast: sum / (width * height) };
  };

  // Sends a layer of the camera or leaves it out, as a browser does on a slow line.
  me.send = async (rid, active) => {
    const sender = connection.getTransceivers().find((transceiver) => transceiver.mid === "1").sender;
    const parameters = sender.getParameters();
    parameters.encodings.find((encoding) => encoding.rid === rid).active = active;
    await sender.setParameters(parameters);
    return true;
  };

  // Pictures of each layer of the camera that were sent.
  me.layers = async () => {
    const reports = [...(await connection.getStats()).values()];
    const sent = reports.filter((report) => report.type === "outbound-rtp" && report.rid);
    return Object.fromEntries(sent.map((report) => [report.rid, report.framesSent ?? 0]));
  };

  me.inbound = async (kind) => {
    const reports = [...(await connection.getStats()).values()];
    const found = reports.find((report) => report.type === "inbound-rtp" && report.kind === kind);
    return found ? { packets: found.packetsReceived, ssrc: found.ssrc, frames: found.framesDecoded ?? 0,
      bytes: found.bytesReceived + found.headerBytesReceived } : null;
  };

  // Bytes of sound in each packet that we send.
  me.soundBytes = async () => {
    const reports = [...(await connection.getStats()).values()];
    const sent = reports.find((report) => report.type === "outbound-rtp" && report.kind === "audio");
    return sent.bytesSent / sent.packetsSent;
  };

  window.plenum = me;
  return true;
})()
