from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from exchange.answer import Ad, Answer, PlacementAnswer, Pod
from exchange.answer_wire import AnswerWriter
from exchange.creatives.ad_facts import AdFacts, ad_facts
from protos import exchange_pb2 as pb
from tests.builders import a_creative, a_line_item

FACTS = [ad_facts(a_line_item(number), a_creative(number)) for number in (1, 2)]
TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)
MONEY = st.integers(0, 2**63 - 1)
ADS = st.builds(
    Ad,
    impression_id=TEXTS,
    facts=st.sampled_from(FACTS),
    markup=TEXTS | st.integers(0, 20_000).map(lambda size: "é" * size),
    price_micros=MONEY,
    bidder=TEXTS,
    deal_id=TEXTS,
    currency=st.sampled_from(["", "EUR", "GBP"]),
)
PLACEMENTS = st.builds(
    PlacementAnswer, placement_id=TEXTS, ad=ADS | st.none(), no_ad_reason=st.integers(0, 2**32 - 1)
).map(lambda entry: PlacementAnswer(entry.placement_id, entry.ad, 0 if entry.ad else entry.no_ad_reason))
PODS = st.builds(
    Pod,
    pod_id=TEXTS,
    placement_ids=st.lists(TEXTS, max_size=3).map(tuple),
    duration_s=st.integers(0, 2**31),
    markup=TEXTS,
)
ANSWERS = st.builds(
    Answer,
    auction_id=TEXTS,
    request_id=TEXTS,
    placements=st.lists(PLACEMENTS, max_size=4).map(tuple),
    kept=st.booleans(),
    pods=st.lists(PODS, max_size=2).map(tuple),
)


def message_of(answer: Answer) -> pb.Answer:
    """The message as the stubs build it."""
    return pb.Answer(
        auction_id=answer.auction_id,
        request_id=answer.request_id,
        kept=answer.kept,
        pods=[
            pb.Pod(pod_id=pod.pod_id, placement_ids=pod.placement_ids, duration_s=pod.duration_s, markup=pod.markup)
            for pod in answer.pods
        ],
        placements=[
            pb.PlacementAnswer(
                placement_id=entry.placement_id,
                ad=ad_of(entry.ad) if entry.ad else None,
                no_ad_reason=entry.no_ad_reason,
            )
            for entry in answer.placements
        ],
    )


def ad_of(ad: Ad) -> pb.Ad:
    facts: AdFacts = ad.facts
    return pb.Ad(
        impression_id=ad.impression_id,
        line_item_id=facts.line_item_id,
        creative_id=facts.creative_id,
        advertiser_id=facts.advertiser_id,
        advertiser_domain=facts.advertiser_domain,
        product_id=facts.product_id,
        format=facts.format,  # type: ignore[arg-type]
        width=facts.width,
        height=facts.height,
        markup=ad.markup,
        price_micros=ad.price_micros,
        pricing_model=facts.pricing_model,  # type: ignore[arg-type]
        currency=ad.currency or "EUR",
        bidder=ad.bidder,
        deal_id=ad.deal_id,
        mtype=facts.mtype,
        duration_s=facts.duration_s,
    )


@given(st.lists(ANSWERS, min_size=1, max_size=3))
def test_an_answer_reads_as_the_message_that_the_stubs_build(answers: list[Answer]) -> None:
    writer = AnswerWriter("EUR")

    assert [pb.Answer.FromString(writer.answer(answer)) for answer in answers] == list(map(message_of, answers))


@given(st.lists(ANSWERS, max_size=4), st.integers(0, 2**64 - 1))
def test_results_joined_are_a_batch(answers: list[Answer], batch_id: int) -> None:
    writer = AnswerWriter("EUR")
    head = pb.AnswerBatch(batch_id=batch_id).SerializeToString()

    batch = pb.AnswerBatch.FromString(head + b"".join(map(writer.result, answers)))

    assert batch == pb.AnswerBatch(
        batch_id=batch_id, results=[pb.AuctionResult(answer=message_of(answer)) for answer in answers]
    )
