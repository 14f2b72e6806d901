"""The operations as people write them in PyTorch, and as careful people do, by the names of kernels.cpp's cases."""

import dataclasses
import math
from typing import Callable

import torch
from torch.nn import functional as F


def normals(*shape):
    return torch.randn(*shape, device="cuda")


def relative(got, want):
    """||got - want|| / ||want||, the largest over pairs of tensors."""
    worst = 0.0
    for g, w in zip(got, want):
        error = ((g.double() - w.double()).norm() / w.double().norm()).item()
        worst = max(worst, error if math.isfinite(error) else math.inf)
    return worst


def doubled(inputs):
    return tuple(t.double() if isinstance(t, torch.Tensor) and t.is_floating_point() else t for t in inputs)


@dataclasses.dataclass
class Case:
    name: str
    inputs: Callable  # () -> a set of random ones
    function: Callable  # what may be compiled
    step: Callable  # (function, inputs) -> outputs: forward, or with gradients
    allowed: float = 1e-4
    variant: str = ""
    products: bool = False  # where TF32 matters
    reference: Callable = None  # what `function` is held against in fp64; None: itself
    check: Callable = None  # (outputs, inputs) -> error, in place of that
    fixed: Callable = None  # inputs -> the same with the noise given, for the check
    eager_only: bool = False  # another case has the same work on other values

    def error(self, function):
        """The error of one call; a result that is wrong is not worth timing."""
        inputs = self.inputs()
        if self.fixed:
            inputs = self.fixed(inputs)
        kept = tuple(t.clone() if isinstance(t, torch.Tensor) else t for t in inputs)  # some change in place
        got = self.step(function, inputs)
        if self.check:
            error = self.check(got, kept)
        else:
            error = relative(got, self.step(self.reference or self.function, doubled(kept)))
        if not error <= self.allowed:
            raise ArithmeticError(f"wrong by {error:.3g}, {self.allowed:.3g} is allowed")
        return error


def forward(function, inputs):
    out = function(*inputs)
    return out if isinstance(out, tuple) else (out,)


def with_gradients(leaves):
    """(function, inputs) -> outputs and gradients of the first `leaves` inputs, for the upstream gradient that is last."""

    def step(function, inputs):
        own = [t.detach().requires_grad_() for t in inputs[:leaves]]
        out = function(*own, *inputs[leaves:-1])
        return (out.detach(), *torch.autograd.grad(out, own, inputs[-1]))

    return step


# ---- gaussian ----

def gaussian(mu, log_var, eps=None):
    eps = torch.randn_like(mu) if eps is None else eps
    z = mu + torch.exp(0.5 * log_var) * eps
    kl_rows = 0.5 * (mu * mu + log_var.exp() - 1 - log_var).sum(1)
    return z, kl_rows, kl_rows.mean()


def gaussian_gradients(function, inputs):
    mu, log_var, d_z, *eps = inputs
    mu, log_var = mu.detach().requires_grad_(), log_var.detach().requires_grad_()
    z, _, kl = function(mu, log_var, *eps)
    return (z.detach(), *torch.autograd.grad((z, kl), (mu, log_var), (d_z, torch.ones_like(kl))))


def gaussian_cases():
    for log2 in (20, 24):
        shape = (2**log2 // 64, 64)
        give = lambda inputs, shape=shape: (*inputs, normals(*shape))
        yield Case(f"gaussian forward 2^{log2}", lambda s=shape: (normals(*s), normals(*s)), gaussian, forward,
                   fixed=give)
        yield Case(f"gaussian forward+backward 2^{log2}", lambda s=shape: tuple(normals(*s) for _ in range(3)),
                   gaussian, gaussian_gradients, fixed=give)


# ---- likelihood, norm, softmax, scalar codes, lengths ----

def bernoulli(logits, x):
    return F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(1).mean()


def finite_scalar_quantize(x):
    levels = torch.tensor([8.0, 5.0, 5.0, 5.0], device=x.device, dtype=x.dtype)
    basis = torch.tensor([1, 8, 40, 200], device=x.device)
    half = (levels - 1) * (1 - 1e-3) / 2
    offset = torch.where(levels % 2 == 0, 0.5, 0.0)
    width = levels // 2
    rounded = torch.round(torch.tanh(x + torch.tan(offset / half)) * half - offset)
    return ((rounded + width).long() * basis).sum(1).int(), rounded / width


def rows_apart(got, inputs):
    """The part of rows with another code than in fp64; a value on a boundary may fall to either side."""
    want, _ = finite_scalar_quantize(inputs[0].double())
    return (got[0] != want).double().mean().item()


def image_inputs():
    x = normals(128, 128, 32, 32).to(memory_format=torch.channels_last)
    return x, normals(128), normals(128)


def causal_attention(qkv):
    """From [batch, n, 3, heads, dims] to [batch, n, heads, dims]."""
    q, k, v = qkv.permute(2, 0, 3, 1, 4)
    return F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2)


def other_cases():
    yield Case("likelihood bernoulli 16384x784",
               lambda: (normals(16384, 784), torch.rand(16384, 784, device="cuda"), torch.ones((), device="cuda")),
               bernoulli, with_gradients(1))
    group = lambda x, gamma, beta: F.group_norm(x, 32, gamma, beta)
    yield Case("norm group forward 128x32x32x128", image_inputs, group, forward)
    yield Case("norm group forward+backward 128x32x32x128",
               lambda: (*image_inputs(), image_inputs()[0]), group, with_gradients(3))
    yield Case("norm layer forward+backward 16384x1024",
               lambda: (normals(16384, 1024), normals(1024), normals(1024), normals(16384, 1024)),
               lambda x, gamma, beta: F.layer_norm(x, (1024,), gamma, beta), with_gradients(3))
    softmax = lambda x: F.log_softmax(x, 1)
    yield Case("softmax log forward 65536x256", lambda: (normals(65536, 256),), softmax, forward)
    yield Case("softmax log forward+backward 65536x256", lambda: (normals(65536, 256), normals(65536, 256)), softmax,
               with_gradients(1))
    qkv = lambda: normals(32, 1024, 3, 8, 64)
    yield Case("causal_attention forward 32x1024x8x64", lambda: (qkv(),), causal_attention, forward, products=True)
    yield Case("causal_attention forward+backward 32x1024x8x64", lambda: (qkv(), normals(32, 1024, 8, 64)),
               causal_attention, with_gradients(1), products=True)
    yield Case("finite_scalar_quantize forward 2^22x4", lambda: (normals(2**22, 4),), finite_scalar_quantize, forward,
               check=rows_apart)
    yield Case("l2_normalize forward 2^18x64", lambda: (normals(2**18, 64),), lambda x: F.normalize(x, dim=1), forward)


# ---- adam ----

def adam_set(**options):
    """An optimizer a few steps old over 10^7 parameters."""
    parameters = [normals(500_000).requires_grad_() for _ in range(20)]
    for p in parameters:
        p.grad = normals(500_000)
    adam = torch.optim.Adam(parameters, lr=1e-3, **options)
    adam.step()
    return adam, parameters


def adam_function(adam, parameters):
    torch.nn.utils.clip_grad_norm_(parameters, 1.0, foreach=True)
    adam.step()


def adam_step(function, inputs):
    function(*inputs[:2])
    return tuple(p.detach() for p in inputs[1])


def adam_error(got, inputs):
    """What the formula makes of the state before, of the first tensor."""
    _, _, value, gradient, first, second, norm = inputs
    g = gradient / max(1.0, norm + 1e-6)
    m, v = 0.9 * first + 0.1 * g, 0.999 * second + 0.001 * g * g
    return relative(got[:1], [value - 1e-3 * (m / (1 - 0.9**2)) / ((v / (1 - 0.999**2)).sqrt() + 1e-8)])


def adam_cases():
    for variant, options in (("", {"foreach": True, "capturable": True}), ("fused", {"fused": True, "capturable": True})):
        def state_before(inputs):
            adam, parameters = inputs
            of = adam.state[parameters[0]]
            norm = torch.stack([p.grad.double().norm() for p in parameters]).norm().item()
            kept = [t.detach().double().clone() for t in (parameters[0], parameters[0].grad, of["exp_avg"], of["exp_avg_sq"])]
            return (*inputs, *kept, norm)

        yield Case("adam 10^7 clipped", lambda o=options: adam_set(**o), adam_function, adam_step,
                   variant=variant, check=adam_error, fixed=state_before)


# ---- masked_conv ----

def mask(weight):
    live = torch.ones_like(weight)
    live[:, :, 1, 2:] = 0
    live[:, :, 2:] = 0
    return live


def gate(a):
    f, g = a.chunk(2, 1)
    return torch.tanh(f) * torch.sigmoid(g)


def masked(x, weight, bias, live):
    return gate(F.conv2d(x, weight * live, bias, padding=1))


def cropped(x, weight, bias, live):
    return gate(F.conv2d(F.pad(x, (1, 1, 1, 0)), (weight * live)[:, :, :2], bias))


def cropped_bf16(x, weight, bias, live):
    return cropped(*(t.bfloat16() for t in (x, weight, bias, live))).to(x.dtype)


def conv_inputs():
    weight = normals(256, 128, 3, 3).to(memory_format=torch.channels_last) / math.sqrt(9 * 128)
    return normals(128, 128, 32, 32).to(memory_format=torch.channels_last), weight, normals(256), mask(weight)


def conv_cases():
    name = "masked_conv{} 3x3 B gated {} 128x32x32x128"
    for factors, variant, function, allowed in (("", "", masked, 2e-3), ("", "careful", cropped, 2e-3),
                                                (" bf16", "careful", cropped_bf16, 2e-2)):
        yield Case(name.format(factors, "forward"), conv_inputs, function, forward, allowed, variant, factors == "",
                   reference=masked)
        yield Case(name.format(factors, "forward+backward"), lambda: (*conv_inputs(), conv_inputs()[0]), function,
                   with_gradients(3), allowed, variant, factors == "", reference=masked)


# ---- vector_quantize ----

def nearest(x, e):
    """As most write it."""
    return (x.square().sum(1, keepdim=True) - 2 * x @ e.t() + e.square().sum(1)).argmin(1)


def nearest_careful(x, e):
    return torch.addmm(-0.5 * e.square().sum(1), x, e.t()).argmax(1)


def nearest_bf16(x, e):
    return torch.addmm((-0.5 * e.square().sum(1)).bfloat16(), x.bfloat16(), e.t().bfloat16()).argmax(1)


def quantizer(find):
    """Codes, vectors, loss and histogram; of residual stages one after the other."""

    def quantize(x, books):
        rest, codes, q, loss = x, [], None, None
        histogram = torch.zeros(books.shape[:2], device=x.device, dtype=torch.int32)
        for stage, e in enumerate(books):
            k = find(rest, e)
            entries = e[k]
            rest = rest - entries
            error = rest.square().mean()
            q, loss = (entries, error) if stage == 0 else (q + entries, loss + error)
            histogram[stage].scatter_add_(0, k, torch.ones_like(k, dtype=torch.int32))
            codes.append(k)
        return torch.stack(codes, 1), q, loss, histogram

    return quantize


def wrong_codes(got, inputs):
    """The part of rows whose first code is not the nearest by fp64 distance."""
    x, e, codes = inputs[0].double(), inputs[1][0].double(), got[0][:, 0]
    wrong = 0
    for rows, k in zip(x.split(16384), codes.split(16384)):
        scores = torch.addmm(-0.5 * e.square().sum(1), rows, e.t())
        wrong += (scores.gather(1, k[:, None])[:, 0] < scores.max(1).values).sum().item()
    return wrong / len(x)


def vector_inputs(rows, codes, dims, stages, book):
    if book == "initial":
        e = (2 * torch.rand(stages, codes, dims, device="cuda") - 1) / codes
    else:
        e = normals(stages, codes, dims) * 0.6 ** torch.arange(stages, device="cuda")[:, None, None]
    x = normals(rows, dims)
    if book == "trained":
        x = e[0][torch.randint(codes, (rows,), device="cuda")] + 0.5 * x
    return x, e


def learner(find, one_hot):
    """Forward, straight-through and commitment gradients, moving averages."""

    def learn(x, books, d_q, counts, sums):
        e = books[0]
        k = find(x, e)
        q = e[k]
        loss = 0.25 * (x - q).square().mean()
        d_x = d_q + 0.5 / x.numel() * (x - q)
        if one_hot:
            hot = F.one_hot(k, len(e)).to(x.dtype)
            n, s = hot.sum(0), hot.t() @ x
        else:
            n = torch.zeros_like(counts).scatter_add_(0, k, torch.ones_like(x[:, 0]))
            s = torch.zeros_like(sums).index_add_(0, k, x)
        counts.mul_(0.99).add_(n, alpha=0.01)
        sums.mul_(0.99).add_(s, alpha=0.01)
        total = counts.sum()
        size = (counts + 1e-5) / (total + len(e) * 1e-5) * total
        books.copy_((sums / size[:, None])[None])
        return k[:, None], q, loss, d_x

    return learn


VARIANTS = (("careful", nearest_careful), ("careful bf16", nearest_bf16), ("", nearest))
FEW, ANY = 0.2, 1.0  # wrong codes; where a model starts, entries are so close that a rounded search finds any of them


def vector_quantize_cases():
    """Their error is a part of rows with another code: large for some, which is why it stands beside the time."""
    shapes = {"16384x64 K=512": (16384, 512, 64, 1), "524288x64 K=512": (524288, 512, 64, 1),
              "262144x64 K=2048": (262144, 2048, 64, 1), "8192x256 K=16384": (8192, 16384, 256, 1),
              "9600x128 K=1024 8 stages": (9600, 1024, 128, 8)}
    for what in ("524288x64 K=512", "16384x64 K=512"):
        def inputs(shape=shapes[what]):
            x, e = vector_inputs(*shape, "trained")
            return x, e, normals(*x.shape), torch.ones(shape[1], device="cuda"), e[0].clone()

        for variant, find in VARIANTS:
            yield Case(f"vector_quantize training {what} trained", inputs, learner(find, not variant), forward, FEW,
                       variant, "bf16" not in variant, check=wrong_codes)
    for what, shape in shapes.items():
        for book in ("gaussian", "trained", "initial"):
            for variant, find in VARIANTS:
                yield Case(f"vector_quantize {what} {book}", lambda s=shape, b=book: vector_inputs(*s, b),
                           quantizer(find), forward, ANY if book == "initial" else FEW, variant,
                           "bf16" not in variant and book == "gaussian", check=wrong_codes,
                           eager_only=book != "gaussian")


def all_cases():
    """The most important first: time may run out."""
    yield from gaussian_cases()
    yield from vector_quantize_cases()
    yield from conv_cases()
    yield from adam_cases()
    yield from other_cases()
