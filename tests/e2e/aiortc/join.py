"""Joins a meeting as a browser would, with aiortc: a tone out, a recording in.

    join.py SERVER CALL_ID NAME TONE_HZ SECONDS RECORDING.wav

Says "connected" once media can flow, and ends by leaving, with a line of JSON:
what was received of sound, and the SRTP profile that DTLS agreed on.
"""

import asyncio
import fractions
import json
import math
import ssl
import struct
import sys
import urllib.request
import wave

import av
import websockets
from aiortc import MediaStreamTrack, RTCPeerConnection, RTCSessionDescription

RATE = 48_000
FRAME = 960


class Tone(MediaStreamTrack):
    """A sine, 20 ms at a time, as a microphone would deliver it."""

    kind = "audio"

    def __init__(self, hertz):
        super().__init__()
        self.hertz = hertz
        self.frames = 0
        self.start = None

    async def recv(self):
        loop = asyncio.get_running_loop()
        if self.start is None:
            self.start = loop.time()
        await asyncio.sleep(max(0, self.start + self.frames * 0.02 - loop.time()))
        first = self.frames * FRAME
        step = 2 * math.pi * self.hertz / RATE
        samples = (int(12_000 * math.sin(step * (first + n))) for n in range(FRAME))
        frame = av.AudioFrame(format="s16", layout="mono", samples=FRAME)
        frame.planes[0].update(struct.pack(f"<{FRAME}h", *samples))
        frame.sample_rate = RATE
        frame.pts = first
        frame.time_base = fractions.Fraction(1, RATE)
        self.frames += 1
        return frame


async def record(track, path, heard):
    """Writes what comes in to a WAV file, 16 bit mono."""
    resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)
    with wave.open(path, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        while True:
            try:
                frame = await track.recv()
            except Exception:  # the track ended
                return
            for plain in resampler.resample(frame):
                file.writeframes(bytes(plain.planes[0])[: plain.samples * 2])
                heard["samples"] += plain.samples


async def main(server, call_id, name, hertz, seconds, recording):
    # The server's certificate is of its own making.
    trust = ssl.create_default_context()
    trust.check_hostname = False
    trust.verify_mode = ssl.CERT_NONE
    body = json.dumps({"callId": call_id, "name": name}).encode()
    request = urllib.request.Request(
        f"{server}/api/join", data=body, headers={"Content-Type": "application/json"}
    )
    joined = json.load(urllib.request.urlopen(request, context=trust, timeout=10))

    heard = {"samples": 0}
    peer = RTCPeerConnection()
    peer.addTrack(Tone(hertz))
    recorder = None

    @peer.on("track")
    def on_track(track):
        nonlocal recorder
        if track.kind == "audio":
            recorder = asyncio.ensure_future(record(track, recording, heard))

    @peer.on("connectionstatechange")
    def on_state():
        print(peer.connectionState, flush=True)

    url = server.replace("https:", "wss:") + "/api/ws"
    async with websockets.connect(url, ssl=trust, origin=server) as socket:
        await socket.send(
            json.dumps({"type": "hello", "protocol": 1, "token": joined["token"]})
        )
        # aiortc gathers all of its candidates before it offers.
        await peer.setLocalDescription(await peer.createOffer())
        await socket.send(json.dumps({"type": "offer", "sdp": peer.localDescription.sdp}))

        async def listen():
            async for text in socket:
                message = json.loads(text)
                if message["type"] == "answer":
                    answer = RTCSessionDescription(message["sdp"], "answer")
                    await peer.setRemoteDescription(answer)
                elif message["type"] in ("error", "bye"):
                    print(text, file=sys.stderr, flush=True)

        async def stay_alive():
            for n in range(1_000_000):
                await asyncio.sleep(5)
                await socket.send(json.dumps({"type": "ping", "n": n}))

        others = [asyncio.ensure_future(listen()), asyncio.ensure_future(stay_alive())]
        await asyncio.sleep(seconds)
        await socket.send(json.dumps({"type": "leave"}))
        await asyncio.sleep(0.3)
        for other in others:
            other.cancel()
    await peer.close()
    if recorder:
        recorder.cancel()
    print(json.dumps({"heard_s": heard["samples"] / RATE}), flush=True)


if __name__ == "__main__":
    asyncio.run(
        main(
            sys.argv[1].rstrip("/"),
            sys.argv[2],
            sys.argv[3],
            float(sys.argv[4]),
            float(sys.argv[5]),
            sys.argv[6],
        )
    )
