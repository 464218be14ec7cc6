"""Messages between cities: what may be wrong with one, and the rules of time, size and rate. A signature identifies a peer, not a connection."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from shared.errors import Problem
from shared.vocabulary import Text

MESSAGE_BYTES = 1280 * 1024
"""Most bytes of a message that is received; an answer may have `ANSWER_BYTES`."""
ANSWER_BYTES = 32 * 1024 * 1024
LEEWAY = timedelta(seconds=60)
"""How far the clocks of two cities may differ."""
LONGEST = timedelta(days=7)
"""How long a message may be valid: files cross an air gap by hand."""
MESSAGES_PER_MINUTE = 12_000
"""Most messages of one peer, whatever its agreements allow."""


class MayHeal:
    """Marks a refusal that passes with time or by an officer's act: it burns no id, so the very same bytes may be taken later."""


class MessageMalformed(Problem):
    slug, status = "message-malformed", 400
    title = Text("消息格式错误", "Malformed message")
    remedy = Text("按文档的格式重新签发：JWS、换行、内容。", "Send a compact JWS over canonical JSON, a line feed, then the payload.")


class MessageTooLarge(Problem):
    slug, status = "message-too-large", 413
    title = Text("消息过大", "Message too large")
    remedy = Text("缩小消息内容。", "Send a smaller message.")


class UnknownPeer(Problem):
    slug, status = "unknown-peer", 403
    title = Text("未登记的城市", "Unknown peer")
    remedy = Text("先由双方人员互相登记并核对指纹。", "Officers of both cities register each other and confirm the fingerprints first.")


class SignatureInvalid(Problem):
    slug, status = "signature-invalid", 403
    title = Text("签名无效", "Invalid signature")
    remedy = Text("用已核对指纹的密钥签名；内容不得改动。", "Sign with the key whose fingerprint was confirmed; nothing may be changed after signing.")


class ForeignRecipient(Problem):
    slug, status = "foreign-recipient", 421
    title = Text("收件方不是本市", "Meant for another city")
    remedy = Text("发往消息所写的收件城市。", "Send it to the city that the message names.")


class MessageExpired(Problem):
    slug, status = "message-expired", 400
    title = Text("消息已过期或尚未生效", "Message expired or not yet valid")
    remedy = Text("核对时钟，签发新的消息。", "Check the clock and sign a new message.")


class MessageReplayed(Problem):
    slug, status = "message-replayed", 409
    title = Text("消息编号已用于另一消息", "Message id used for another message")
    remedy = Text("为不同的消息使用新的编号。", "Use a new id for a different message.")


class AgreementNotInForce(MayHeal, Problem):
    slug, status = "agreement-not-in-force", 403
    title = Text("协议未生效", "Agreement not in force")
    remedy = Text("使用双方签名且在有效期内的协议。", "Name an agreement that both cities have signed, within its period.")


class PurposeNotAgreed(Problem):
    slug, status = "purpose-not-agreed", 403
    title = Text("用途未约定", "Purpose not agreed")
    remedy = Text("只能用于协议所列的用途。", "Ask for one of the purposes that the agreement names.")


class OutsideAgreement(Problem):
    slug, status = "outside-agreement", 400
    title = Text("超出协议范围", "Outside the agreement")
    remedy = Text("只能询问协议所列的数据集、字段和操作。", "Ask for the datasets, fields and operations of the agreement only.")


class ForeignOrigin(Problem):
    slug, status = "foreign-origin", 403
    title = Text("第三方城市的数据", "Data of another city")
    remedy = Text("来自其他城市的数据只能转给其协议指定的城市。", "Data of another city go on only to recipients that the agreement with it names.")


class AgreedRateExceeded(MayHeal, Problem):
    slug, status = "agreed-rate-exceeded", 429
    title = Text("超过约定频率", "Agreed rate exceeded")
    remedy = Text("按 Retry-After 等待后重试。", "Wait as `Retry-After` says, then send the message again.")


class AnswerTooLarge(Problem):
    slug, status = "answer-too-large", 400
    title = Text("答案超过约定大小", "Answer beyond the agreed size")
    remedy = Text("减少分组或缩小范围。", "Group by less, or narrow the question.")


class AnswerUnsound(Problem):
    """The peer's answer is not what it signed, or not an answer to what was asked."""

    slug, status = "answer-unsound", 502
    title = Text("对方的答复不可信", "Peer's answer is unsound")
    remedy = Text("未采用该答复；请联系对方网关的维护者。", "The answer was not used; tell the operator of the peer's gateway.")


def digest_of(content: bytes) -> str:
    """A digest as RFC 9530 writes it: `sha-256=:…:`."""
    return f"sha-256=:{base64.b64encode(hashlib.sha256(content).digest()).decode()}:"


def check_freshness(created: datetime, expires: datetime, now: datetime) -> None:
    """Raise `MessageExpired` unless the message is valid now, and for no longer than a week."""
    if created > now + LEEWAY:
        raise MessageExpired(f"It says that it was created at {created.isoformat()}, which is yet to come.")
    if expires <= now:
        raise MessageExpired(f"It expired at {expires.isoformat()}.")
    if not timedelta(0) < expires - created <= LONGEST:
        raise MessageExpired(f"A message is valid for {LONGEST.days} days at most.")


@dataclass(slots=True)
class Bucket:
    """A rate: `per_minute` tokens fill the bucket evenly, at most that many lie in it."""

    per_minute: float
    left: float = field(default=-1.0)
    at: float = 0.0

    def take(self, now: float) -> float:
        """0 if there was a token to take, else the seconds until there is one. `now` is a monotonic clock."""
        if self.left < 0:
            self.left, self.at = self.per_minute, now
        self.left, self.at = min(self.per_minute, self.left + max(0.0, now - self.at) * self.per_minute / 60), max(now, self.at)
        if self.left >= 1:
            self.left -= 1
            return 0.0
        return (1 - self.left) * 60 / self.per_minute
