"""The page of all settings says what the models say."""

from tests.config.reference import PAGE, page


def test_the_page_of_settings_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page()
