"""What snapshots may cost when the engine is slow or dies while it saves."""

import subprocess
import time

import pytest
from support import wait_until


def snapshot_files(server) -> list:
    return sorted(one.name for one in (server.directory / "snapshots").iterdir() if one.name != "lock")


def test_every_slot_is_saved_and_restored(fake):
    server = fake({"a": "slots=300"}, {"defaults": {"parallel": 3}})
    assert server.chat("a").status_code == 200
    server.run("stop", "a")
    wait_until(lambda: server.get("/admin/ps").json()["snapshots"]["count"] == 3, 10, "three snapshots")
    assert len(snapshot_files(server)) == 3
    assert all((server.directory / "snapshots" / one).stat().st_mode & 0o777 == 0o600 for one in snapshot_files(server))
    assert (server.directory / "snapshots").stat().st_mode & 0o777 == 0o700
    assert server.chat("a").status_code == 200
    assert server.instances()["a"]["restored_tokens"] == 900


def test_an_engine_that_saves_for_ever_does_not_hold_up_its_end(fake):
    server = fake({"a": "slots=300,save=60000"}, {"snapshots": {"time_limit": "300ms"}})
    server.chat("a")
    begun = time.monotonic()
    assert server.run("stop", "a").returncode == 0
    assert time.monotonic() - begun < 5
    wait_until(lambda: snapshot_files(server) == [], 5, "the end of the unfinished file")
    assert server.chat("a").status_code == 200


def test_an_engine_that_dies_while_it_saves_is_started_again(fake):
    server = fake({"a": "slots=300,save-crash"})
    for _ in range(2):
        assert server.chat("a").status_code == 200
        assert server.run("stop", "a").returncode == 0
    assert snapshot_files(server) == []


def test_short_conversations_and_models_without_snapshots_leave_nothing(fake):
    server = fake({"short": "slots=100", "off": "slots=300"}, off={"snapshots": False})
    for model in ("short", "off"):
        assert server.chat(model).status_code == 200
        server.run("stop", model)
    assert server.stop() == 0
    assert snapshot_files(server) == []


def test_snapshots_can_be_switched_off(fake):
    server = fake({"a": "slots=300"}, {"snapshots": {"budget": "0"}})
    assert server.chat("a").status_code == 200
    server.run("stop", "a")
    assert server.get("/admin/ps").json()["snapshots"]["budget"] == 0
    assert not (server.directory / "snapshots").exists()


def test_never_more_disk_than_the_budget(fake):
    """Two slots of 31 MiB a model: a budget of 100 MiB holds three at a time."""
    names = [f"m{i}" for i in range(4)]
    server = fake({name: "slots=2000" for name in names}, {"snapshots": {"budget": "100MiB"}})
    for name in names:
        assert server.chat(name).status_code == 200
        server.run("stop", name)
        used = sum((server.directory / "snapshots" / one).stat().st_size for one in snapshot_files(server))
        assert used <= 100 << 20
    wait_until(lambda: server.get("/admin/ps").json()["snapshots"]["count"] in (2, 3), 10, "a folder that is nearly full")
    assert server.get("/admin/ps").json()["snapshots"]["saved"] >= 5


def test_what_was_kept_is_found_again_and_what_is_unfinished_is_removed(fake, tmp_path):
    folder = tmp_path / "kept"
    server = fake({"a": "slots=300"}, {"snapshots": {"directory": str(folder)}})
    server.chat("a")
    server.stop()
    kept = [one for one in folder.iterdir() if one.suffix == ".kv"]
    assert len(kept) == 2
    (folder / "saving-9.tmp").write_bytes(b"half")
    (folder / "0123.kv").write_bytes(b"no snapshot at all")
    kept[0].write_bytes(kept[0].read_bytes()[:-1])
    (tmp_path / "a@slots=300.gguf").unlink()
    again = fake({"a": "slots=300"}, {"snapshots": {"directory": str(folder)}})
    wait_until(lambda: again.get("/admin/ps").json()["snapshots"]["count"] == 1, 10, "the one that is whole")
    assert again.chat("a").status_code == 200
    assert again.instances()["a"]["restored_tokens"] == 300
    assert sorted(one.name for one in folder.iterdir()) == sorted([kept[1].name, "lock"])
    assert again.log_file.read_text().count("snapshot.discarded") == 2


def test_a_second_server_on_the_same_folder_serves_without(fake, tmp_path):
    config = {"snapshots": {"directory": str(tmp_path / "kept")}}
    first = fake({"a": "slots=300"}, config)
    second = fake({"b": "slots=300"}, config)
    assert second.chat("b").status_code == 200
    assert "snapshots.off" in second.log_file.read_text()
    assert first.chat("a").status_code == 200


@pytest.fixture
def full_disk(tmp_path):
    """A file system of its own on which next to nothing is free."""
    folder = tmp_path / "full"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("only root can mount a file system for this test")
    (folder / "filler").write_bytes(bytes(4 * 1024 * 1024 - 64 * 1024))
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk_costs_no_request(fake, full_disk):
    server = fake({"a": "slots=300", "b": "slots=300"}, {"snapshots": {"directory": str(full_disk / "snapshots")}})
    for _ in range(2):
        for model in ("a", "b"):
            assert server.chat(model).status_code == 200
            assert server.run("stop", model).returncode == 0
    assert server.get("/admin/ps").json()["snapshots"]["count"] == 0
    assert server.log_file.read_text().count("snapshots.disk_full") == 1
