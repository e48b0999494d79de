"""Makes the clips of this folder and expected_audio.txt, with soundfile (libsndfile) and librosa.

expected_audio.txt has a line a case: name rate count values (-1..1), and for spectrograms
name rows columns values (0..1, the lowest row first).
"""
import os

import librosa
import numpy as np
import soundfile

here = os.path.dirname(os.path.abspath(__file__))
lines = []
rng = np.random.default_rng(11)


def expect(name, a, b, values):
    lines.append(f"{name} {a} {b} " + " ".join(f"{v:.9g}" for v in np.ravel(values)))


def clip(name, values, rate, subtype, form="WAV"):
    path = os.path.join(here, name)
    soundfile.write(path, values, rate, subtype=subtype, format=form)
    back, rate = soundfile.read(path, dtype="float64", always_2d=True)
    expect(name, rate, len(back), back.mean(axis=1))


t = np.arange(40)
wave = 0.8 * np.sin(0.3 * t) + 0.1 * rng.standard_normal(40)
clip("u8.wav", wave, 8000, "PCM_U8")
clip("i16.wav", wave, 16000, "PCM_16")
clip("i24.wav", wave, 44100, "PCM_24")
clip("i32.wav", wave, 48000, "PCM_32")
clip("f32.wav", 2 * wave, 22050, "FLOAT")
clip("f64.wav", wave, 11025, "DOUBLE")
clip("stereo.wav", np.stack([wave, rng.uniform(-1, 1, 40)], 1), 16000, "PCM_16")
clip("six.wav", rng.uniform(-1, 1, (20, 6)), 96000, "PCM_24", "WAVEX")

n = 1300
s = np.arange(n) / 8000
sweep = 0.4 * np.sin(2 * np.pi * (200 * s + 4000 * s * s)) + 0.02 * rng.standard_normal(n)
sweep[900:] *= 0.01
path = os.path.join(here, "sweep.wav")
soundfile.write(path, sweep, 8000, subtype="PCM_16")
back, rate = soundfile.read(path, dtype="float64")


def mel(name, mels, window, hop, low, high, decibels):
    power = librosa.feature.melspectrogram(
        y=back, sr=rate, n_fft=window, hop_length=hop, n_mels=mels, fmin=low, fmax=high,
        center=False, htk=True, norm=None, power=2.0)
    db = librosa.power_to_db(power, ref=np.max, amin=1e-300, top_db=None)
    picture = np.maximum(0, 1 + db / decibels)
    expect(name, *picture.shape, picture)


mel("mel_20", 20, 256, 80, 0, 4000, 80)
mel("mel_8", 8, 128, 100, 300, 3000, 40)
with open(os.path.join(here, "expected_audio.txt"), "w") as f:
    f.write("\n".join(lines) + "\n")
