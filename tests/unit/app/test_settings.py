"""Do settings take the right value from the right place, and do wrong ones say what to do?"""

from pathlib import Path

import pytest

from app import settings
from app.outside_bidders import OutsideBidder
from common.errors import InvalidInput


def loaded(
    folder: Path, flags: dict[str, object] | None = None, environment: dict[str, str] | None = None
) -> settings.Settings:
    return settings.load(flags, environment=environment or {}, folder=folder)


def errors_of(
    folder: Path, flags: dict[str, object] | None = None, environment: dict[str, str] | None = None
) -> dict[str, str]:
    with pytest.raises(InvalidInput) as caught:
        loaded(folder, flags, environment)
    return {error.field: f"{error.value} | {error.remedy}" for error in caught.value.errors}


def test_defaults_work_without_any_configuration(tmp_path: Path) -> None:
    found = loaded(tmp_path)

    assert (found.grpc_host, found.grpc_port, found.http_port) == ("127.0.0.1", 50051, 8080)
    assert found.data_dir == tmp_path / "var/haat"
    assert {line.origin for line in settings.describe(found)} == {"default"}


def test_flags_go_over_environment_over_file_over_defaults(tmp_path: Path) -> None:
    (tmp_path / "haat.toml").write_text("grpc_port = 1001\nhttp_port = 1002\ntmax_ms = 70\n")

    found = loaded(tmp_path, {"grpc_port": 3001}, {"HAAT_GRPC_PORT": "2001", "HAAT_HTTP_PORT": "2002"})

    assert (found.grpc_port, found.http_port, found.tmax_ms, found.drain_s) == (3001, 2002, 70, 10)
    origins = {line.name: line.origin for line in settings.describe(found)}
    assert origins["grpc_port"] == "--grpc-port"
    assert origins["http_port"] == "HAAT_HTTP_PORT"
    assert origins["tmax_ms"] == str(tmp_path / "haat.toml")
    assert origins["drain_s"] == "default"


def test_a_flag_that_was_not_given_changes_nothing(tmp_path: Path) -> None:
    assert loaded(tmp_path, {"grpc_port": None}).grpc_port == 50051


def test_the_config_flag_goes_over_the_variable_over_the_file_of_the_folder(tmp_path: Path) -> None:
    for name, port in (("haat.toml", 1), ("variable.toml", 2), ("flag.toml", 3)):
        (tmp_path / name).write_text(f"grpc_port = {port}")
    environment = {"HAAT_CONFIG": "variable.toml"}

    assert loaded(tmp_path).grpc_port == 1
    assert loaded(tmp_path, environment=environment).grpc_port == 2
    with_flag = settings.load({}, config=Path("flag.toml"), environment=environment, folder=tmp_path)
    assert with_flag.grpc_port == 3


def test_paths_of_the_file_count_from_its_own_folder(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "shop.toml").write_text('data_dir = "data"')

    found = settings.load({}, config=Path("etc/shop.toml"), environment={}, folder=tmp_path)

    assert found.data_dir == tmp_path / "etc" / "data"
    assert loaded(tmp_path, environment={"HAAT_DATA_DIR": "data"}).data_dir == tmp_path / "data"


def test_models_come_from_the_program_unless_the_folder_has_some(tmp_path: Path) -> None:
    repository = Path(settings.__file__).parent.parent
    assert loaded(tmp_path).models_dir == repository / "models"

    (tmp_path / "models").mkdir()
    assert loaded(tmp_path).models_dir == tmp_path / "models"


def test_an_unknown_name_is_refused_with_the_nearest_known_one(tmp_path: Path) -> None:
    (tmp_path / "haat.toml").write_text("grcp_port = 1\n")

    errors = errors_of(tmp_path, {"htp_port": 1}, {"HAAT_DATA_DIRR": "x", "HAAT_QQQQQQ": "x"})

    assert errors["grcp_port"].endswith("did you mean grpc_port?")
    assert errors["--htp-port"].endswith("did you mean --http-port?")
    assert errors["HAAT_DATA_DIRR"].endswith("did you mean HAAT_DATA_DIR?")
    assert "config show" in errors["HAAT_QQQQQQ"]


def test_all_bad_values_are_named_at_once_with_their_remedy(tmp_path: Path) -> None:
    (tmp_path / "haat.toml").write_text('currency = "euro"\nmax_batch = true\nlease_share = nan\n')

    errors = errors_of(tmp_path, {"ranker": "best"}, {"HAAT_GRPC_PORT": "70000", "HAAT_TMAX_MS": "-5"})

    file = tmp_path / "haat.toml"
    assert set(errors) == {
        f"currency in {file}",
        f"max_batch in {file}",
        f"lease_share in {file}",
        "--ranker",
        "HAAT_GRPC_PORT",
        "HAAT_TMAX_MS",
    }
    assert errors["HAAT_GRPC_PORT"] == "70000 | give a whole number within 0..65535"
    assert errors["--ranker"] == "best | give one of auto, model, prior"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"grpc_port = ", "is not TOML"),
        (b"grpc_port = 1\ngrpc_port = 2", "is not TOML"),
        (b"\xff\xfe", "not UTF-8"),
        (b"#" * (1 << 20) + b"\n", "at most 1 MiB"),
    ],
)
def test_a_broken_file_is_one_clear_error(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "haat.toml").write_bytes(content)

    assert says in errors_of(tmp_path)["config"]


def test_a_file_that_is_not_there_or_a_folder_is_one_clear_error(tmp_path: Path) -> None:
    assert "cannot be read" in errors_of(tmp_path, environment={"HAAT_CONFIG": "missing.toml"})["config"]
    assert "cannot be read" in errors_of(tmp_path, environment={"HAAT_CONFIG": "."})["config"]


def test_durations_may_carry_a_unit(tmp_path: Path) -> None:
    found = loaded(tmp_path, environment={"HAAT_CLICK_TTL_S": "2m", "HAAT_TMAX_MS": "0.08s"})

    assert (found.click_ttl_s, found.tmax_ms) == (120, 80)
    assert "500 ms" not in errors_of(tmp_path, environment={"HAAT_CLICK_TTL_S": "1500ms"})["HAAT_CLICK_TTL_S"]


def test_outside_bidders_come_as_tables_or_as_text(tmp_path: Path) -> None:
    (tmp_path / "haat.toml").write_text(
        '[[outside_bidders]]\nname = "acme"\ntarget = "127.0.0.1:6001"\ncurrency = "EUR"\ntimeout_ms = 20\n'
    )
    acme = OutsideBidder(name="acme", target="127.0.0.1:6001", currency="EUR", timeout_ms=20)

    assert loaded(tmp_path).outside_bidders == (acme,)
    text = "acme=127.0.0.1:6001,EUR,20ms; other=[::1]:6002"
    found = loaded(tmp_path, environment={"HAAT_OUTSIDE_BIDDERS": text}).outside_bidders
    assert found == (acme, OutsideBidder(name="other", target="[::1]:6002"))


@pytest.mark.parametrize(
    "text",
    ["acme", "acme=", "=h:1", "acme=h", "acme=h:1,euro", "acme=h:1,EUR,x", "a=h:1;a=h:2", "A B=h:1", "a=h:1,EUR,1,1"],
)
def test_a_malformed_outside_bidder_is_refused(tmp_path: Path, text: str) -> None:
    assert "HAAT_OUTSIDE_BIDDERS" in errors_of(tmp_path, environment={"HAAT_OUTSIDE_BIDDERS": text})


def test_a_certificate_needs_its_key_and_both_must_be_readable(tmp_path: Path) -> None:
    (tmp_path / "cert.pem").touch()

    errors = errors_of(tmp_path, {"tls_cert": "cert.pem"})
    assert errors["tls_key"].endswith("give tls_cert and tls_key together")

    errors = errors_of(tmp_path, {"tls_cert": "cert.pem", "tls_key": "no.pem"})
    assert errors["--tls-key"].endswith("give a file that can be read")


def test_one_port_is_not_given_twice(tmp_path: Path) -> None:
    assert "--http-port" in errors_of(tmp_path, {"http_port": 9000, "grpc_port": 9000})
    assert loaded(tmp_path, {"http_port": 0, "grpc_port": 0}).http_port == 0


def test_ads_txt_is_checked_by_the_name_that_it_knows_us_by(tmp_path: Path) -> None:
    assert set(errors_of(tmp_path, {"ads_txt_check": "warn"})) == {"seller_domain"}
    found = loaded(tmp_path, {"ads_txt_check": "enforce", "seller_domain": "ads.example", "ads_txt_refresh_s": "2h"})
    assert (found.ads_txt_check, found.ads_txt_refresh_s) == ("enforce", 7_200)


def test_a_value_with_control_characters_is_shown_escaped(tmp_path: Path) -> None:
    shown = errors_of(tmp_path, environment={"HAAT_GRPC_HOST": "a\x1b[31mb"})["HAAT_GRPC_HOST"]

    assert "\x1b" not in shown


def test_a_secret_is_masked_when_shown_and_when_refused(tmp_path: Path) -> None:
    found = loaded(tmp_path, environment={"HAAT_API_KEY": "hunter2"})

    shown = {line.name: line for line in settings.describe(found)}["api_key"]
    assert found.api_key == "hunter2"
    assert (shown.value, shown.origin) == ("***", "HAAT_API_KEY")
    assert "hunter2" not in repr(settings.describe(found))
    assert "hunter2" not in str(errors_of(tmp_path, environment={"HAAT_API_KEY": "hunter2 and more"}))
    assert {line.name: line.value for line in settings.describe(loaded(tmp_path))}["api_key"] == ""


def test_a_secret_does_not_stand_in_the_repr_of_the_settings(tmp_path: Path) -> None:
    assert "hunter2" not in repr(loaded(tmp_path, environment={"HAAT_API_KEY": "hunter2"}))


def test_every_setting_has_a_meaning_and_a_default_that_its_own_reader_takes() -> None:
    defaults = settings.Settings()

    for line in settings.describe(defaults):
        assert line.meaning
        value = getattr(defaults, line.name)
        assert settings._KNOWN[line.name].read(value) == value


def test_the_share_that_is_leased_is_a_part_and_never_a_count(tmp_path: Path) -> None:
    assert loaded(tmp_path).lease_share == 0.05
    assert loaded(tmp_path, environment={"HAAT_LEASE_SHARE": "0.2"}).lease_share == 0.2
    assert "HAAT_LEASE_SHARE" in errors_of(tmp_path, environment={"HAAT_LEASE_SHARE": "20"})


def test_the_public_address_is_that_of_the_pages_unless_it_is_given(tmp_path: Path) -> None:
    assert loaded(tmp_path, {"http_host": "::1", "http_port": 81}).http_url == "http://[::1]:81"
    assert loaded(tmp_path, {"public_url": "https://ads.shop.example/"}).public_url == "https://ads.shop.example"
    for wrong in (
        "ads.shop.example",
        "https://",
        "https://a.example/path",
        "javascript:alert(1)",
        'https://a"b.example',
    ):
        assert "https://ads.shop.example" in errors_of(tmp_path, {"public_url": wrong})["--public-url"]
