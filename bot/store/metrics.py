"""Series and documents of an attempt: added as they are read, loaded to evaluate gates."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from sqlalchemy import delete, func, insert, select

from bot.core.series import Kind, Point, Series, Source
from bot.store.database import Transaction
from bot.store.schema import Document, PointRow, SeriesRow


def add(tx: Transaction, attempt_id: int, series: Iterable[Series], trial: int | None = None) -> int:
    """Store points of an attempt, or of a `trial` of its search, that are not here yet. Returns how many were new.

    A series is read from its beginning or from where it was left; a point's `ordinal` tells whether it is here.
    """
    added = 0
    for one in series:
        row = _row(tx, attempt_id, one, trial)
        known = _known(tx, row.id, min((point.ordinal for point in one.points), default=0))
        fresh = [point for point in one.points if point.ordinal not in known]
        if fresh:
            tx.execute(insert(PointRow), [{"series_id": row.id, **vars(point)} for point in fresh])
        added += len(fresh)
    tx.flush()
    return added


def forget(tx: Transaction, attempt_id: int, trial: int, source: Source) -> None:
    """Delete the series of a trial that came from `source`, with their points."""
    where = (SeriesRow.attempt_id == attempt_id, SeriesRow.trial == trial, SeriesRow.source == source)
    ids = tx.scalars(select(SeriesRow.id).where(*where)).all()
    tx.execute(delete(PointRow).where(PointRow.series_id.in_(ids)))
    tx.execute(delete(SeriesRow).where(SeriesRow.id.in_(ids)))


def peaks(tx: Transaction, attempt_id: int) -> dict[str, float]:
    """Return the highest value of each of the system's metrics, over all tasks and trials."""
    where = (SeriesRow.attempt_id == attempt_id, SeriesRow.source == Source.SYSTEM, PointRow.value.is_not(None))
    query = select(SeriesRow.tag, func.max(PointRow.value)).join(PointRow, PointRow.series_id == SeriesRow.id)
    found = tx.execute(query.where(*where).group_by(SeriesRow.tag))
    return {tag: highest for tag, highest in found if highest is not None}


def parts(series: Iterable[Series], size: int) -> Iterator[Series]:
    """Yield the same points in series of at most `size`: each can be stored in a transaction of its own."""
    for one in series:
        for start in range(0, len(one.points), size):
            yield replace(one, points=one.points[start : start + size])


def _known(tx: Transaction, series_id: int, least: int) -> set[int]:
    query = select(PointRow.ordinal).where(PointRow.series_id == series_id, PointRow.ordinal >= least)
    return set(tx.scalars(query))


def _row(tx: Transaction, attempt_id: int, series: Series, trial: int | None) -> SeriesRow:
    where = (
        SeriesRow.attempt_id == attempt_id,
        SeriesRow.trial.is_not_distinct_from(trial),
        SeriesRow.source == series.source,
        SeriesRow.run == series.run,
        SeriesRow.tag == series.tag,
    )
    row = tx.scalar(select(SeriesRow).where(*where))
    if row is None:
        row = SeriesRow(attempt_id=attempt_id, trial=trial, source=series.source, run=series.run, tag=series.tag)
        tx.add(row)
        tx.flush()
    return row


def put_documents(tx: Transaction, attempt_id: int, documents: Mapping[str, str]) -> None:
    """Store the documents as they are now, over what was there."""
    for name, body in documents.items():
        tx.merge(Document(attempt_id=attempt_id, name=name, body=body))
    tx.flush()


def load(tx: Transaction, attempt_id: int, trial: int | None = None) -> list[Series]:
    """Return all series of an attempt, or of one trial, with all their points, in order of run and tag."""
    where = (SeriesRow.attempt_id == attempt_id, SeriesRow.trial.is_not_distinct_from(trial))
    rows = tx.scalars(select(SeriesRow).where(*where).order_by(SeriesRow.run, SeriesRow.tag)).all()
    points: dict[int, list[Point]] = {row.id: [] for row in rows}
    columns = (PointRow.series_id, PointRow.step, PointRow.at, PointRow.value, PointRow.kind, PointRow.ordinal)
    query = select(*columns).join(SeriesRow, PointRow.series_id == SeriesRow.id).where(*where)
    for series_id, step, at, value, kind, ordinal in tx.execute(query.order_by(PointRow.series_id, PointRow.ordinal)):
        points[series_id].append(Point(step, at, value, _KINDS[kind], ordinal))
    return [Series(Source(row.source), row.run, row.tag, tuple(points[row.id])) for row in rows]


_KINDS = {kind.value: kind for kind in Kind}


def documents(tx: Transaction, attempt_id: int) -> dict[str, str]:
    """Return an attempt's documents by their names, as JSON text."""
    rows = tx.scalars(select(Document).where(Document.attempt_id == attempt_id))
    return {row.name: row.body for row in rows}
