"""What answers from hourly roll-ups need: an aggregate that merges moments, and a quick way to the few values that no roll-up counts."""

from __future__ import annotations

from alembic import op

revision = "series_0002_rolled_up"
down_revision = "series_0001"
branch_labels = None
depends_on = None

# PostgreSQL's own step for parallel avg, stddev and variance of doubles: {N, Sx, Sxx} by Youngs and Cramer, which is Chan's formula.
MERGE = """
CREATE AGGREGATE merge_moments (double precision[]) (
    SFUNC = float8_combine, STYPE = double precision[], COMBINEFUNC = float8_combine, INITCOND = '{0,0,0}', PARALLEL = SAFE
)
"""


def upgrade() -> None:
    op.execute(MERGE)
    op.execute("CREATE INDEX ix_observations_uncounted ON observations (time) WHERE quality > 3")


def downgrade() -> None:
    op.execute("DROP INDEX ix_observations_uncounted")
    op.execute("DROP AGGREGATE merge_moments (double precision[])")
