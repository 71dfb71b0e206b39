"""Additive attention against a literal transcription of its equations, timm, and its own symmetries."""

import pytest
import torch
import torch.nn.functional as F

from nnunet_cardiac.architectures.blocks.additive_attention import EfficientAdditiveAttention, TokenNorm
from nnunet_cardiac.architectures.blocks.cross_additive_attention import CrossEfficientAdditiveAttention


def literal(parts, x, factor=1.0):
    """The equations as printed, one anatomy and one source of keys at a time; `x` is a list of `(B, N, C)`."""
    query = [F.normalize(p.query(t), dim=-1) for p, t in zip(parts, x, strict=True)]
    key = [F.normalize(p.key(t), dim=-1) for p, t in zip(parts, x, strict=True)]
    outputs = []
    for a, p in enumerate(parts):
        score = F.normalize((query[a] @ p.score[:, None]) * x[a].shape[-1] ** -0.5, dim=1)
        pooled = factor * (score * query[a]).sum(1, keepdim=True)
        mixed = sum(p.mix[b](pooled * key[b]) for b in range(len(x)))
        outputs.append(p.out(mixed + query[a]))
    return outputs


def gradients(output, inputs):
    torch.manual_seed(5)
    return torch.autograd.grad((output * torch.randn_like(output)).sum(), inputs)


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize(("batch", "tokens", "dim"), [(1, 1, 3), (3, 35, 8), (9, 4099, 16)])
def test_self_attention_and_gradients_are_those_of_the_equations(batch, tokens, dim, scaled):
    attention = EfficientAdditiveAttention(dim, "l2_ref", 20).double()
    x = torch.randn(batch, tokens, dim, dtype=torch.double, requires_grad=True)
    scale = torch.rand(dim, dtype=torch.double, requires_grad=True) if scaled else None
    (expected,) = literal([attention], [x], (20 / tokens) ** 0.5)
    expected = x + scale * expected if scaled else expected
    actual = attention(x, scale)
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-9)
    inputs = [x, *attention.parameters(), *([scale] if scaled else [])]
    for ours, theirs in zip(gradients(actual, inputs), gradients(expected, inputs), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("anatomies", [1, 2, 3])
def test_cross_attention_and_gradients_are_those_of_the_equations(anatomies):
    attention = CrossEfficientAdditiveAttention(6, anatomies, "l2").double()
    x = torch.randn(anatomies, 2, 15, 6, dtype=torch.double, requires_grad=True)
    scales = [torch.rand(6, dtype=torch.double, requires_grad=True) for _ in range(anatomies)]
    expected = x + torch.stack([s * y for s, y in zip(scales, literal(attention.anatomies, list(x)), strict=True)])
    actual = attention(x, scales)
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-9)
    inputs = [x, *attention.parameters(), *scales]
    for ours, theirs in zip(gradients(actual, inputs), gradients(expected, inputs), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)


def test_permuting_anatomies_with_their_weights_permutes_the_output():
    attention, permuted = (CrossEfficientAdditiveAttention(5, 3).double() for _ in range(2))
    order = [2, 0, 1]
    for target, a in zip(permuted.anatomies, order, strict=True):
        state = attention.anatomies[a].state_dict()
        for b, source in enumerate(order):
            for name in ("weight", "bias"):
                state[f"mix.{b}.{name}"] = attention.anatomies[a].mix[source].state_dict()[name]
        target.load_state_dict(state)
    x = torch.randn(3, 2, 7, 5, dtype=torch.double)
    torch.testing.assert_close(permuted(x[order]), attention(x)[order])


def test_equals_timm():
    from timm.models.swiftformer import EfficientAdditiveAttention as TheirAttention

    theirs = TheirAttention(8, 8)
    ours = EfficientAdditiveAttention(8, "l2")
    names = {"to_query": "query", "to_key": "key", "w_g": "score", "proj": "mix.0", "final": "out"}
    state = {}
    for name, value in theirs.state_dict().items():
        head, _, tail = name.partition(".")
        state[".".join(filter(None, (names[head], tail)))] = value.flatten() if head == "w_g" else value
    ours.load_state_dict(state)
    image = torch.randn(2, 8, 3, 5)
    torch.testing.assert_close(ours(image.flatten(2).mT), theirs(image).flatten(2).mT)


def test_permuting_tokens_permutes_the_output():
    attention, order = EfficientAdditiveAttention(8), torch.randperm(33)
    x = torch.randn(2, 33, 8)
    torch.testing.assert_close(attention(x[:, order]), attention(x)[:, order])


def test_length_of_the_score_vector_is_immaterial():
    attention = EfficientAdditiveAttention(8).double()
    x = torch.randn(2, 33, 8, dtype=torch.double)
    before = attention(x)
    attention.score.data *= 1e4
    torch.testing.assert_close(attention(x), before, rtol=0, atol=1e-9)


def test_reference_norm_equals_published_norm_at_the_reference_and_ignores_repetition():
    published, ours = EfficientAdditiveAttention(8, "l2"), EfficientAdditiveAttention(8, "l2_ref", 12)
    ours.load_state_dict(published.state_dict())
    x = torch.randn(2, 12, 8)
    twice = torch.cat((x, x), 1)
    torch.testing.assert_close(ours(x), published(x))
    torch.testing.assert_close(ours(twice)[:, :12], ours(x))
    assert not torch.allclose(published(twice)[:, :12], published(x), rtol=1e-3)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_stays_close_and_gradients_stay_float32(dtype):
    attention = EfficientAdditiveAttention(16, "l2")
    x = torch.randn(1, 50_176, 16)
    expected = attention(x)
    with torch.autocast("cpu", dtype):
        actual = attention(x)
        actual.float().square().mean().backward()  # inside on purpose: the backward pass must not be cast again
    assert actual.dtype == dtype
    assert (actual - expected).norm() < 0.02 * expected.norm()
    assert all(p.grad.dtype == torch.float32 and p.grad.isfinite().all() for p in attention.parameters())


def test_memory_kept_for_backward_is_linear_in_tokens():
    def kept(tokens: int) -> int:
        sizes = []
        with torch.autograd.graph.saved_tensors_hooks(lambda t: sizes.append(t.numel()) or t, lambda t: t):
            EfficientAdditiveAttention(8)(torch.randn(1, tokens, 8, requires_grad=True))
        return sum(sizes)

    assert kept(65_536) < 2.01 * kept(32_768)


def test_errors_name_the_value():
    with pytest.raises(ValueError, match="at least 1, got 0 and 1"):
        EfficientAdditiveAttention(0)
    with pytest.raises(ValueError, match="token_norm is 'l1', expected one of 'l2_ref', 'l2'"):
        TokenNorm("l1", 4)
    with pytest.raises(ValueError, match="reference_tokens must be at least 1, got 0"):
        TokenNorm("l2", 0)
    with pytest.raises(ValueError, match="anatomies must be at least 1, got 0"):
        CrossEfficientAdditiveAttention(4, 0)
    with pytest.raises(ValueError, match="Found tokens of 2 anatomies, expected 3"):
        CrossEfficientAdditiveAttention(4, 3)(torch.randn(2, 1, 5, 4))
