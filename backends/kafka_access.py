"""How does a client show Kafka who it is, and see who Kafka is? In the words of both libraries."""

from __future__ import annotations

from typing import Any

import msgspec

# Kafka's own names of its security protocols, in small letters, as settings have them.
PLAINTEXT = "plaintext"
WITH_TLS = ("ssl", "sasl_ssl")
WITH_SASL = ("sasl_plaintext", "sasl_ssl")


class KafkaAccess(msgspec.Struct, frozen=True, kw_only=True):
    """`security` is a protocol of Kafka's, `mechanism` one of SASL's, `ca_file` empty for the machine's authorities."""

    security: str = PLAINTEXT
    mechanism: str = "scram-sha-512"
    user: str = ""
    password: str = ""
    ca_file: str = ""

    def __repr__(self) -> str:
        """Without the password, wherever it is shown."""
        return f"KafkaAccess({self.security}, user={self.user!r})"

    def for_kafka_python(self) -> dict[str, Any]:
        """Options of kafka-python; the broker's name must be in its certificate."""
        found: dict[str, Any] = {"security_protocol": self.security.upper()}
        if self.security in WITH_TLS and self.ca_file:
            found["ssl_cafile"] = self.ca_file
        if self.security in WITH_SASL:
            found["sasl_mechanism"] = self.mechanism.upper()
            found |= {"sasl_plain_username": self.user, "sasl_plain_password": self.password}
        return found

    def for_librdkafka(self) -> dict[str, Any]:
        """Options of librdkafka; it looks at the broker's name by default."""
        found: dict[str, Any] = {"security.protocol": self.security}
        if self.security in WITH_TLS and self.ca_file:
            found["ssl.ca.location"] = self.ca_file
        if self.security in WITH_SASL:
            found["sasl.mechanism"] = self.mechanism.upper()
            found |= {"sasl.username": self.user, "sasl.password": self.password}
        return found
