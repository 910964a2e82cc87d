"""`acdref check` as its user meets it."""

import json

from predict_support import noise, program, write


def test_check(tmp_path):
    write(tmp_path / "a.wav", noise(1.0, seed=1))
    (tmp_path / "b.wav").write_bytes((tmp_path / "a.wav").read_bytes())
    manifest = tmp_path / "m.csv"
    manifest.write_text("path,classes,split\na.wav,dog,train\nb.wav,,val\nnone\x1b.wav,dog,val\n")
    code, out, err = program("check", manifest, "--classes", "dog,cat")
    assert (code, err) == (3, "")
    assert out.splitlines() == [
        f"unreadable: {tmp_path}/none\\x1b.wav: no such file",
        "the same: a.wav, b.wav (other labels and split)",
        "classes that no recording has: cat",
        "recordings with none of the classes: 1",
        "3 recordings, 0:00:02: 1 unreadable, 1 more than once",
    ]
    code, out, _ = program("check", manifest, "--json")
    assert code == 3 and json.loads(out)["duplicates"][0]["differ_in"] == ["labels", "split"]
    manifest.write_text("path,classes\na.wav,dog\n")
    assert program("check", manifest)[0] == 0
    manifest.write_text("path,classes\na.wav,dog\nb.wav,dog\n")
    assert program("check", manifest)[0] == 3
    code, out, err = program("check", tmp_path / "missing.csv")
    assert (code, out, len(err.splitlines())) == (1, "", 1)
