"""Training steps in PyTorch: the models of TrainingBenchmark.java with the same layers, batches and Adam:
peers_training.py FILE eager|compile

A step copies a batch from pinned host memory to the device, as ours does, and is timed by the host's clock over windows of
many steps. That a form learns is seen in its losses, which stand beside its time.
"""

import functools
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F

from peers_common import COMPILE, Report, use_tf32

STEPS, WINDOWS, WARM_UPS = 300, 5, 20
BATCHES = 64
SECONDS = 75  # a form of a model, compilation included


class Vae(nn.Module):
    """784-400-20, Bernoulli pixels."""

    shape, batch, rate, name = (1, 28, 28), 128, 1e-3, "MLP VAE 784-400-20, batch 128"

    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(784, 400), nn.ReLU(), nn.Linear(400, 40))
        self.decoder = nn.Sequential(nn.Linear(20, 400), nn.ReLU(), nn.Linear(400, 784))

    def forward(self, x):
        mu, log_var = self.encoder(x).chunk(2, 1)
        z = mu + torch.exp(0.5 * log_var) * torch.randn_like(mu)
        logits = self.decoder(z).flatten(1)
        nll = F.binary_cross_entropy_with_logits(logits, x.flatten(1), reduction="sum")
        kl = 0.5 * (mu * mu + log_var.exp() - 1 - log_var).sum()
        return (nll + kl) / len(x)


class ConvVae(Vae):
    """4x4 convolutions of stride 2 to 32 and 64 channels, hidden 256, and back."""

    name = "conv VAE 28x28, batch 128"

    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(1, 32, 4, 2, 1), nn.ReLU(), nn.Conv2d(32, 64, 4, 2, 1), nn.ReLU(), nn.Flatten(),
            nn.Linear(7 * 7 * 64, 256), nn.ReLU(), nn.Linear(256, 40))
        self.decoder = nn.Sequential(
            nn.Linear(20, 256), nn.ReLU(), nn.Linear(256, 7 * 7 * 64), nn.ReLU(), nn.Unflatten(1, (64, 7, 7)),
            nn.ConvTranspose2d(64, 32, 4, 2, 1), nn.ReLU(), nn.ConvTranspose2d(32, 1, 4, 2, 1))


class Residual(nn.Module):
    def __init__(self, channels, hidden):
        super().__init__()
        self.wide, self.narrow = nn.Conv2d(channels, hidden, 3, 1, 1), nn.Conv2d(hidden, channels, 1)

    def forward(self, x):
        return x + self.narrow(F.relu(self.wide(F.relu(x))))


class VqVae(nn.Module):
    """128 channels, 2 residual blocks of 32, 512 codes of 64 dimensions by moving averages, squared errors."""

    shape, batch, rate, name = (3, 32, 32), 32, 3e-4, "VQ-VAE 32x32x3, batch 32"

    def __init__(self):
        super().__init__()
        blocks = lambda: (Residual(128, 32), Residual(128, 32), nn.ReLU())
        self.encoder = nn.Sequential(
            nn.Conv2d(3, 64, 4, 2, 1), nn.ReLU(), nn.Conv2d(64, 128, 4, 2, 1), nn.ReLU(), nn.Conv2d(128, 128, 3, 1, 1),
            *blocks(), nn.Conv2d(128, 64, 1))
        self.decoder = nn.Sequential(
            nn.Conv2d(64, 128, 3, 1, 1), *blocks(), nn.ConvTranspose2d(128, 64, 4, 2, 1), nn.ReLU(),
            nn.ConvTranspose2d(64, 3, 4, 2, 1))
        self.register_buffer("codebook", torch.randn(512, 64))
        self.register_buffer("counts", torch.zeros(512))
        self.register_buffer("sums", self.codebook.clone())
        self.register_buffer("perplexity", torch.zeros(()))

    def quantize(self, x):
        scores = torch.addmm(-0.5 * self.codebook.square().sum(1), x, self.codebook.t())
        codes = scores.argmax(1)
        q = self.codebook[codes]
        with torch.no_grad():
            hot = F.one_hot(codes, 512).to(x.dtype)
            n = hot.sum(0)
            self.counts.mul_(0.99).add_(n, alpha=0.01)
            self.sums.mul_(0.99).add_(hot.t() @ x, alpha=0.01)
            total = self.counts.sum()
            size = (self.counts + 1e-5) / (total + 512e-5) * total
            self.codebook.copy_(self.sums / size[:, None])
            p = n / len(x)
            self.perplexity.copy_(torch.exp(-(p * (p + 1e-10).log()).sum()))
        return x + (q - x).detach(), 0.25 * F.mse_loss(x, q)

    def forward(self, x):
        vectors = self.encoder(x).permute(0, 2, 3, 1)
        q, commitment = self.quantize(vectors.reshape(-1, 64))
        return F.mse_loss(self.decoder(q.view(vectors.shape).permute(0, 3, 1, 2)), x) + commitment


def batches(model):
    """Waves, as in TrainingBenchmark.java: pictures that can be learned."""
    channels, height, width = model.shape
    generator = torch.Generator().manual_seed(1)
    count = BATCHES * model.batch
    draw = lambda: torch.randn(count, 1, 1, 1, generator=generator)
    y = torch.arange(height).view(1, 1, -1, 1) * draw() * 6 / height
    x = torch.arange(width).view(1, 1, 1, -1) * draw() * 6 / width
    phase = 6.2832 * torch.rand(count, channels, 1, 1, generator=generator)
    images = 0.5 + 0.5 * torch.sin(x + y + phase)
    return [b.contiguous(memory_format=torch.channels_last).pin_memory() for b in images.split(model.batch)]


def stepper(kind, fused, compiled, graphed):
    """(step(i), loss) of a fresh model."""
    torch.manual_seed(1)
    model = kind().cuda().to(memory_format=torch.channels_last)
    adam = torch.optim.Adam(model.parameters(), lr=kind.rate, capturable=graphed, **({"fused": True} if fused else {}))
    objective = torch.compile(model, **COMPILE) if compiled else model
    host = batches(kind)
    x = host[0].cuda()
    loss = torch.zeros((), device="cuda")

    def compute():
        adam.zero_grad(set_to_none=True)
        value = objective(x)
        value.backward()
        adam.step()
        loss.copy_(value.detach())

    run = compute
    if graphed:
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(5):
                compute()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        adam.zero_grad(set_to_none=True)
        with torch.cuda.graph(graph):
            compute()
        run = graph.replay

    def step(i):
        x.copy_(host[i % BATCHES], non_blocking=True)
        run()

    return step, loss


def measure(kind, **form):
    step, loss = stepper(kind, **form)
    for i in range(WARM_UPS):
        step(i)
    first, us, done = loss.item(), [], WARM_UPS
    for _ in range(WINDOWS):
        torch.cuda.synchronize()
        start = time.perf_counter()
        for i in range(STEPS):
            step(done + i)
        torch.cuda.synchronize()
        us.append((time.perf_counter() - start) * 1e6 / STEPS)
        done += STEPS
    last = loss.item()
    if not last < first:  # NaN fails too
        raise ArithmeticError(f"does not learn: loss {first:.6g}, then {last:.6g}")
    us.sort()
    return {"us": round(us[WINDOWS // 2], 2), "least": round(us[0], 2), "most": round(us[-1], 2), "windows": WINDOWS,
            "steps": STEPS, "first_loss": round(first, 4), "last_loss": round(last, 4)}


FORMS = {
    "eager": dict(fused=False, compiled=False, graphed=False),
    "eager, fused Adam": dict(fused=True, compiled=False, graphed=False),
    "graph": dict(fused=True, compiled=False, graphed=True),
    "compile": dict(fused=True, compiled=True, graphed=False),
    "compile in graph": dict(fused=True, compiled=True, graphed=True),
}


def main(path, mode):
    if not torch.cuda.is_available():
        sys.exit("peers_training: PyTorch sees no CUDA device")
    report = Report(path)
    for tf32 in (False, True):
        for kind in (Vae, VqVae, ConvVae):
            use_tf32(tf32)
            for form, options in FORMS.items():
                if options["compiled"] == (mode == "compile"):
                    torch.compiler.reset()
                    peer = form + (" tf32" if tf32 else "")
                    report.attempt(kind.name, peer, functools.partial(measure, kind, **options), SECONDS)


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[2] not in ("eager", "compile"):
        sys.exit("usage: peers_training.py FILE eager|compile")
    main(sys.argv[1], sys.argv[2])
