from pathlib import Path

import pytest

from governance import env, variables
from governance.env import BadEnvironmentError, Secret

KEY = "A" * 43


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in variables.TABLE:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(f"{name}_FILE", raising=False)


def test_a_missing_secret_stops_the_start_with_a_sentence_that_says_what_to_set() -> None:
    with pytest.raises(BadEnvironmentError, match=r"SECRET_KEY is not set\. .* Set SECRET_KEY or SECRET_KEY_FILE\."):
        env.text("SECRET_KEY")


def test_an_undocumented_variable_cannot_be_read() -> None:
    with pytest.raises(KeyError):
        env.text("PATH")


def test_a_secret_may_come_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("s" * 50 + "\n")
    monkeypatch.setenv("SECRET_KEY_FILE", str(tmp_path / "key"))
    assert env.secret("SECRET_KEY", at_least=50).reveal() == "s" * 50


def test_a_value_and_a_file_at_once_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SECRET_KEY", "a")
    monkeypatch.setenv("SECRET_KEY_FILE", str(tmp_path))
    with pytest.raises(BadEnvironmentError, match="both set"):
        env.text("SECRET_KEY")


def test_a_file_that_cannot_be_read_stops_the_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SECRET_KEY_FILE", str(tmp_path / "missing"))
    with pytest.raises(BadEnvironmentError, match="cannot be read"):
        env.text("SECRET_KEY")


def test_a_secret_shows_itself_nowhere() -> None:
    secret = Secret("hunter2")
    assert {repr(secret), str(secret), f"{secret}", f"{secret!r:}"} == {"***"}
    assert secret.reveal() == "hunter2"
    with pytest.raises(TypeError):
        secret.__reduce__()


@pytest.mark.parametrize("value", ["", "short", KEY[:-1], KEY + "AA", "+" * 43, "é" * 43])
def test_a_key_is_32_bytes_in_base64url(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("KEY_ENCRYPTION_KEY", value)
    with pytest.raises(BadEnvironmentError):
        env.key("KEY_ENCRYPTION_KEY")


@pytest.mark.parametrize("value", [KEY, KEY + "="])
def test_a_key_is_read_with_and_without_padding(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("KEY_ENCRYPTION_KEY", value)
    assert env.key("KEY_ENCRYPTION_KEY").reveal() == bytes(32)


@pytest.mark.parametrize("value", ["maybe", "2", "tru"])
def test_a_flag_is_yes_or_no(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("DEBUG", value)
    with pytest.raises(BadEnvironmentError):
        env.flag("DEBUG")


@pytest.mark.parametrize(
    "value",
    [
        "http://mandate.example",
        "https://mandate.example/",
        "https://mandate.example/console",
        "https://user@mandate.example",
        "https://mandate.example?x=1",
        "https://mandate.example:0",
        "https://mandate.example:99999",
        "https://[::1",
        "ftp://mandate.example",
        "mandate.example",
        "http://localhost.example",
    ],
)
def test_a_public_address_is_https_and_a_host_alone(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("CONSOLE_URL", value)
    with pytest.raises(BadEnvironmentError, match="CONSOLE_URL"):
        env.public_url("CONSOLE_URL", allow_http=False)


@pytest.mark.parametrize("value", ["https://mandate.example", "https://mandate.example:8443", "http://localhost:8000"])
def test_a_good_public_address_is_taken_as_it_is(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("CONSOLE_URL", value)
    assert env.public_url("CONSOLE_URL", allow_http=False) == value


def test_a_database_address_is_taken_apart_and_unquoted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://app:p%40ss@db.example:6432/mandate?sslmode=verify-full")
    found = env.database("DATABASE_URL")
    assert (found["USER"], found["PASSWORD"], found["PORT"]) == ("app", "p@ss", "6432")
    assert found["OPTIONS"] == {**env.DEAD_HOST, "sslmode": "verify-full"}


def test_a_database_address_overrides_what_is_done_about_dead_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://app@db.example/mandate?connect_timeout=9")
    assert env.database("DATABASE_URL")["OPTIONS"] == {**env.DEAD_HOST, "connect_timeout": "9"}


@pytest.mark.parametrize(
    ("hosts", "host", "port"),
    [
        ("one.example:6432,two.example", "one.example,two.example", "6432,5432"),
        ("[fd00::1]:5433,[fd00::2]:5434", "fd00::1,fd00::2", "5433,5434"),
    ],
)
def test_a_database_address_may_name_several_hosts(
    monkeypatch: pytest.MonkeyPatch, hosts: str, host: str, port: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", f"postgresql://app:p%40ss@{hosts}/mandate")
    found = env.database("DATABASE_URL")
    assert (found["HOST"], found["PORT"], found["NAME"]) == (host, port, "mandate")
    assert (found["USER"], found["PASSWORD"]) == ("app", "p@ss")
    assert found["OPTIONS"] == {**env.DEAD_HOST, "target_session_attrs": "read-write"}


@pytest.mark.parametrize("wanted", ["any", "standby", "prefer-standby", "read-only"])
def test_of_several_hosts_a_standby_is_never_wanted(monkeypatch: pytest.MonkeyPatch, wanted: str) -> None:
    monkeypatch.setenv("DATABASE_URL", f"postgresql://app@one,two/mandate?target_session_attrs={wanted}")
    with pytest.raises(BadEnvironmentError, match="takes writes"):
        env.database("DATABASE_URL")


@pytest.mark.parametrize(
    "value",
    [
        "mysql://u:hunter2@h/d",
        "postgresql://u:hunter2@h",
        "postgresql://u:hunter2@h,:1/d",
        "postgresql://h/hunter2",
        "hunter2",
    ],
)
def test_a_bad_database_address_is_refused_without_showing_it(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("DATABASE_URL", value)
    with pytest.raises(BadEnvironmentError) as refused:
        env.database("DATABASE_URL")
    assert "hunter2" not in str(refused.value)
