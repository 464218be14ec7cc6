"""What the gateway shares: agreements, the log of exchanges without any payload, warnings of peer cities."""

from __future__ import annotations

from services.intercity.models import agreements, log_entries, warnings
from shared.datasets.declaration import Dataset, Field, FieldType
from shared.vocabulary import Sharing, Text

OWNER = Text("城际网关", "Gateway between cities")
LAW = "《政务数据共享条例》（国务院令第809号）；《数据安全法》第二十一条"
"""State Council Decree 809; Data Security Law, article 21."""


def _field(name: str, zh: str, en: str, kind: FieldType = "string", *, values: tuple[str, ...] = (), required: bool = False) -> Field:
    return Field(name=name, type=kind, title=Text(zh, en), values=values, required=required)


AGREEMENTS = Dataset(
    id="intercity.agreements",
    title=Text("城际数据共享协议", "Agreements with peer cities"),
    description=Text(
        "每行一份协议及其状态；全文由两市签名，以摘要为号。",
        "One row for each agreement and its state; both cities sign the document, whose digest is its number.",
    ),
    owner=OWNER,
    table=agreements,
    area=None,
    fields=(
        _field("id", "协议摘要", "SHA-256 of the document", required=True),
        _field("peer", "对方城市", "Peer city", required=True),
        _field("proposer", "提出方", "Who proposed it", required=True),
        _field("state", "状态", "State", values=("proposed", "received", "in_force", "declined", "ended"), required=True),
        _field("purposes", "用途", "Purposes", required=True),
        _field("gives", "我方提供", "Datasets that we give", required=True),
        _field("takes", "我方取得", "Datasets that we take", required=True),
        _field("legal_basis", "法律依据", "Legal basis", required=True),
        _field("begins_at", "生效时间", "Begins", "datetime", required=True),
        _field("ends_at", "到期时间", "Ends", "datetime", required=True),
        _field("ended_at", "终止时间", "When it was ended", "datetime"),
    ),
    time="begins_at",
    legal_basis=LAW,
)

EXCHANGES = Dataset(
    id="intercity.exchanges",
    title=Text("城际交换日志", "Log of exchanges with peer cities"),
    description=Text(
        "每行一条收发的消息：对象、协议、用途、操作与摘要，不含内容。只增不改，以默克尔树存证。",
        "One row for each message in or out: peer, agreement, purpose, operation and digest, without the content. Append-only, proved by a Merkle tree.",
    ),
    owner=OWNER,
    table=log_entries,
    key="number",
    area=None,
    fields=(
        _field("number", "序号", "Number of the entry", "integer", required=True),
        _field("at", "时间", "When", "datetime", required=True),
        _field("direction", "方向", "Direction", values=("in", "out"), required=True),
        _field("kind", "种类", "Kind", values=("request", "answer", "refusal"), required=True),
        _field("peer", "对方城市", "Peer city", required=True),
        _field("message", "消息编号", "Message"),
        _field("agreement", "协议", "Agreement"),
        _field("purpose", "用途", "Purpose"),
        _field("operation", "操作", "Operation"),
        _field("digest", "摘要", "SHA-256 of the signed object", required=True),
        _field("problem", "拒绝原因", "Why it was refused"),
    ),
    time="at",
    legal_basis=LAW,
)

WARNINGS = Dataset(
    id="intercity.warnings",
    title=Text("外市预警", "Warnings of peer cities"),
    description=Text(
        "每行一条经签名核验的外市 CAP 预警。原文见 /warnings/received/{id}.xml。",
        "One row for each warning of a peer city, its signature verified. The CAP document is at /warnings/received/{id}.xml.",
    ),
    owner=OWNER,
    table=warnings,
    area=None,
    fields=(
        _field("id", "标识", "Origin and CAP identifier", required=True),
        _field("origin", "发布城市", "City it comes from", required=True),
        _field("identifier", "CAP 标识", "CAP identifier", required=True),
        _field("sender", "发布者", "CAP sender", required=True),
        _field("sent_at", "发布时间", "Sent", "datetime", required=True),
        _field("status", "性质", "Status", values=("Actual", "Exercise", "System", "Test"), required=True),
        _field("kind", "类型", "Kind of message", values=("Alert", "Update", "Cancel"), required=True),
        _field("event", "事件", "Event"),
        _field("level", "预警级别", "Warning level, 1 red to 4 blue", "integer"),
        _field("headline_zh", "标题（中文）", "Headline, Chinese"),
        _field("headline_en", "标题（英文）", "Headline, English"),
        _field("area", "区域代码", "Area code"),
        _field("expires_at", "失效时间", "Expires", "datetime"),
        _field("agreement", "协议", "Agreement under which it came", required=True),
        _field("received_at", "收到时间", "Received", "datetime", required=True),
    ),
    time="sent_at",
    sharing=Sharing.CONDITIONAL,
    legal_basis="《突发事件应对法》（2024年修订）第六十三条至第六十五条（预警信息的发布与通报；条款号待核）",
)
