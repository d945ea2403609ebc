"""What a chat service answers when it does not take a call."""

from __future__ import annotations

from http import HTTPStatus

from entitlements.errors import DomainError


class ChatRefused(DomainError):
    """The chat service refused. Check the token and the scopes of the app."""

    code, status = "chat_refused", HTTPStatus.UNPROCESSABLE_ENTITY

    def __init__(self, answer: str) -> None:
        super().__init__(f"The chat service refused: {answer}. Check the token and the scopes of the app.")
        self.answer = answer


class NoAccount(DomainError):
    """The chat service knows no account with the e-mail address of this person."""

    code, status = "no_chat_account", HTTPStatus.CONFLICT


class ServiceBusy(Exception):
    """The chat service asks to wait for so many seconds."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"Wait for {seconds} seconds.")
        self.seconds = seconds
