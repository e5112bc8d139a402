from rpusim.applications import hyperdimensional, kernels, memory, physical, search, spiking, stdp, stored
from rpusim.applications.hyperdimensional import (
    AssociativeMemory,
    ItemMemory,
    LevelMemory,
    bind,
    bundle,
    encode_ngrams,
    encode_signals,
    permute,
)
from rpusim.applications.kernels import KernelAttention, RandomFeatures, Ridge, kernel_error, kernel_matrix, random_directions
from rpusim.applications.memory import Episode, Episodes, KeyValueMemory, SupportMemory, few_shot_accuracy, sharpened
from rpusim.applications.physical import METHODS, Gradients, PhysicalNetwork, Physics
from rpusim.applications.search import Measured, Space, Surrogate, evolve, find_network, measure, network_of, on_chip
from rpusim.applications.spiking import (
    LIF,
    MultiDeviceSynapses,
    SpikeMatch,
    normad_events,
    poisson_spikes,
    spike_kernel,
    spike_match,
    synaptic_pcm,
    train_spikes,
)
from rpusim.applications.stdp import FatiguingSTDP, Learned, correlated_spikes, separation
from rpusim.applications.stored import StoredMatrix

__all__ = [
    "AssociativeMemory", "Episode", "Episodes", "FatiguingSTDP", "Gradients", "ItemMemory", "KernelAttention",
    "KeyValueMemory", "LIF", "Learned", "LevelMemory", "METHODS", "Measured", "MultiDeviceSynapses", "PhysicalNetwork",
    "Physics", "RandomFeatures", "Ridge", "Space", "SpikeMatch", "StoredMatrix", "SupportMemory", "Surrogate", "bind",
    "bundle", "correlated_spikes", "encode_ngrams", "encode_signals", "evolve", "few_shot_accuracy", "find_network",
    "hyperdimensional", "kernel_error", "kernel_matrix", "kernels", "measure", "memory", "network_of", "normad_events",
    "on_chip", "permute", "physical", "poisson_spikes", "random_directions", "search", "separation", "sharpened",
    "spike_kernel", "spike_match", "spiking", "stdp", "stored", "synaptic_pcm", "train_spikes",
]  # fmt: skip
