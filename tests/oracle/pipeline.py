"""A pipeline, event by event: stages that are free take what has come to them, one operation per clock cycle.

Nothing here knows when a sample is due anywhere, or how stale a weight will be: both follow from who waits for whom.
"""

from __future__ import annotations

import numpy as np


def simulate(stages, batches, forward=None, backward=None):
    """Let micro-batches 0, 1, ... go through the stages and back; return (cycles, updates seen).

    `batches` are the numbers of micro-batches that may be in the pipeline together, group after group: [1, 1, 1] has one at a
    time, [4, 4] two batches of four with a flush between. None as the only entry, [None, n], is a pipeline of n micro-batches
    without a flush: a stage keeps as many in flight as there are stages from it to the end, and prefers to work them off.
    Weights change with the backward in the endless pipeline, else after the last one of the batch. `forward(m, k)` and
    `backward(m, k)` are called in order. updates[m][k] is how many updates stage m had had when k went forward.
    """
    endless = batches[0] is None
    total = sum(n for n in batches if n is not None)
    ends = np.cumsum([n for n in batches if n is not None])  # of the groups
    done_forward, done_backward = np.full((2, stages, total), -1)  # the cycle of each operation
    sent, returned = [0] * stages, [0] * stages  # how many went forward and backward through each stage
    updates = [[0] * total for _ in range(stages)]
    cycle = 0
    while min(returned) < total:
        now = []
        for m in range(stages):
            k, j = sent[m], returned[m]
            came = k < total and (m == 0 or 0 <= done_forward[m - 1, k] < cycle)
            back = j < total and (0 <= done_forward[m, j] < cycle if m == stages - 1 else 0 <= done_backward[m + 1, j] < cycle)
            if endless:
                came = came and k - j < stages - m
            else:
                came = came and k < ends[np.searchsorted(ends, min(returned), side="right")]
            if endless and back or back and not came:
                now.append((m, j, False))
            elif came:
                now.append((m, k, True))
        assert now, "the pipeline is stuck"
        for m, k, ahead in now:
            if ahead:
                updates[m][k] = returned[m] if endless else int(max(ends[ends <= k], default=0))
                done_forward[m, k], sent[m] = cycle, k + 1
                if forward:
                    forward(m, k)
            else:
                done_backward[m, k], returned[m] = cycle, k + 1
                if backward:
                    backward(m, k)
        cycle += 1
    return cycle, updates


def train(weights, x, targets, lr, batches):
    """Train a perceptron of tanh layers (the last one linear; biases are the last columns) on the squared error of samples
    x[k], one per micro-batch, by `simulate`. Changes `weights` (float64) in place, one matrix per stage; returns the sum of the
    losses, the cycles, and the updates seen.
    """
    stages, losses, waiting = len(weights), [], []
    inputs = {(0, k): row for k, row in enumerate(x)}
    outputs, gradients = {}, {}

    def forward(m, k):
        a = weights[m] @ np.append(inputs[m, k], 1.0)
        y = outputs[m, k] = a if m == stages - 1 else np.tanh(a)
        inputs[m + 1, k] = y
        if m == stages - 1:
            losses.append(0.5 * np.sum((y - targets[k]) ** 2))
            gradients[m, k] = y - targets[k]

    def backward(m, k):
        d = gradients[m, k] * (1.0 if m == stages - 1 else 1.0 - outputs[m, k] ** 2)
        gradients[m - 1, k] = weights[m][:, :-1].T @ d
        change = lr * np.outer(d, np.append(inputs[m, k], 1.0))
        if batches[0] is None:
            weights[m] -= change
            return
        waiting.append((m, change))
        if m == 0 and k + 1 in np.cumsum(batches):
            for stage, due in waiting:
                weights[stage] -= due
            waiting.clear()

    cycles, updates = simulate(stages, batches, forward, backward)
    return sum(losses), cycles, updates
