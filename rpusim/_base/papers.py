"""The papers that what is here comes from: one table, to which devices, chips, algorithms and reproductions refer by key.

Where no more is known of a paper than is given, no more is given: `and others` stands for further authors, a title that is not
known for certain is left out, and `what` says what it is about.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["PAPERS", "Paper"]


@dataclass(frozen=True)
class Paper:
    """One entry of the table.

    Attributes
    ----------
    authors : str
        As BibTeX has them: "Gokmen, T. and Vlasov, Y.".
    year : int
    title : str
        "" where it is not known for certain.
    where : str
        Journal with volume and page, or conference.
    doi, arxiv : str
        "" where there is none, or it is not known.
    what : str
        What is taken from it, where the title does not say it.

    Examples
    --------
    >>> import rpusim as rpu
    >>> paper = rpu.citations("gokmen2016")[0]
    >>> print(paper)
    T. Gokmen, Y. Vlasov: Acceleration of deep neural network training with resistive cross-point devices: design \
considerations. Frontiers in Neuroscience 10, 333 (2016). doi:10.3389/fnins.2016.00333, arXiv:1603.07341
    """

    authors: str
    year: int
    title: str
    where: str = ""
    doi: str = ""
    arxiv: str = ""
    what: str = ""

    @property
    def names(self) -> str:
        """The authors as they are printed: "T. Gokmen, Y. Vlasov"."""
        found = []
        for author in self.authors.split(" and "):
            last, _, first = author.strip("{}").partition(", ")
            found.append("et al." if author == "others" else f"{first} {last}".strip())
        return ", ".join(found).replace(", et al.", " et al.")

    @property
    def short(self) -> str:
        """Authors and year as in a sentence: "Gokmen and Vlasov (2016)"."""
        last = [author.partition(",")[0].strip("{}") for author in self.authors.split(" and ")]
        few = " and ".join(last) if len(last) <= 2 and "others" not in last else f"{last[0]} et al."
        return f"{few} ({self.year})"

    def __str__(self) -> str:
        parts = [self.title or self.what, f"{self.where} ({self.year})" if self.where else str(self.year)]
        links = [f"doi:{self.doi}"] * bool(self.doi) + [f"arXiv:{self.arxiv}"] * bool(self.arxiv)
        return f"{self.names}: {'. '.join(parts)}." + (f" {', '.join(links)}" if links else "")

    def bibtex(self, key: str) -> str:
        """Return the entry for a BibTeX file, called `key`."""
        kind = "article" if self.where else "misc"
        fields = {"author": self.authors, "title": f"{{{self.title}}}" if self.title else "", "year": str(self.year)}
        fields |= {"journal" if self.where else "howpublished": self.where, "doi": self.doi}
        if self.arxiv:
            fields |= {"eprint": self.arxiv, "archiveprefix": "arXiv"}
        fields["note"] = self.what
        lines = ",\n".join(f"  {name} = {{{value}}}" for name, value in fields.items() if value)
        return f"@{kind}{{{key},\n{lines}\n}}"


_NEURO = "Frontiers in Neuroscience"
_AI = "Frontiers in Artificial Intelligence"
_COMMUN = "Nature Communications"
_WU = "Wu, Z. and Xiao, Q. and Gokmen, T. and Fagbohungbe, O. and Chen, T."
_HERMES = "A 64-core mixed-signal in-memory compute chip based on phase-change memory for deep neural network inference"
_TUTORIAL = "Using the IBM analog in-memory hardware acceleration kit for neural network training and inference"
_HWA = "Hardware-aware training for large-scale and diverse deep learning inference workloads using in-memory computing-based \
accelerators"
_TOOLKIT = "A flexible and fast PyTorch toolkit for simulating training and inference on analog crossbar arrays"
_MULTI_TILE = "In-memory training on analog devices with limited conductance states via multi-tile residual learning"
_RESPONSE = "Analog in-memory training on general non-ideal resistive elements: the impact of response functions"
_SNN = "Experimental demonstration of supervised learning in spiking neural networks with phase-change memory synapses"
_ANALOGNETS = "AnalogNets: ML-HW co-design of noise-robust TinyML models and always-on analog compute-in-memory accelerator"
_ANALOGNAS = "AnalogNAS: a neural network design framework for accurate inference with analog in-memory computing"
_BURR = "Experimental demonstration and tolerancing of a large-scale neural network (165,000 synapses) using phase-change \
memory as the synaptic weight element"

# fmt: off
PAPERS: dict[str, Paper] = {
    "agarwal2016": Paper("Agarwal, S. and others", 2016,
        "Resistive memory device requirements for a neural algorithm accelerator",
        "International Joint Conference on Neural Networks (IJCNN)"),
    "agrawal2022": Paper("Agrawal, V. and others", 2022,
        "Subthreshold operation of SONOS analog memory to enable accurate low-power neural network inference", "IEDM"),
    "anwani2015": Paper("Anwani, N. and Rajendran, B.", 2015, "", "IJCNN", what="NormAD, a rule for spikes at desired times"),
    "benmeziane2023": Paper("Benmeziane, H. and others", 2023, _ANALOGNAS, "IEEE EDGE", arxiv="2305.10459"),
    "boybat2018": Paper("Boybat, I. and others", 2018, "Neuromorphic computing with multi-memristive synapses",
        f"{_COMMUN} 9, 2514", "10.1038/s41467-018-04933-y"),
    "buechel2022": Paper("Buechel, J. and others", 2022,
        "Gradient descent-based programming of analog in-memory computing cores",
        "IEDM", arxiv="2305.16647"),
    "buechel2024": Paper("Buechel, J. and others", 2024, "Kernel approximation using analog in-memory computing",
        "Nature Machine Intelligence", "10.1038/s42256-024-00943-2", "2411.03375"),
    "buechel2025": Paper("Buechel, J. and others", 2025, "Analog foundation models", "NeurIPS", arxiv="2505.09663"),
    "burr2015": Paper("Burr, G. W. and others", 2015, _BURR, "IEEE Transactions on Electron Devices 62, 3498"),
    "chen2017": Paper("Chen, P.-Y. and Peng, X. and Yu, S.", 2017, "NeuroSim+: an integrated device-to-algorithm framework for \
benchmarking synaptic devices and array architectures", "IEDM"),
    "choi2026": Paper("Choi and others", 2026, "", "Advanced Science", "10.1002/advs.202504578",
        what="disturb by half-selected pulses in ReRAM"),
    "falcone2025": Paper("Falcone, D. F. and others", 2025,
        "All-in-one analog AI hardware: on-chip training and inference with \
conductive-metal-oxide/HfOx ReRAM devices", arxiv="2502.04524"),
    "ferro2024": Paper("Ferro, E. and others", 2024,
        "A precision-optimized fixed-point near-memory digital processing unit for analog in-memory computing", "ISCAS",
        arxiv="2402.07549"),
    "gokmen2016": Paper("Gokmen, T. and Vlasov, Y.", 2016, "Acceleration of deep neural network training with resistive \
cross-point devices: design considerations", f"{_NEURO} 10, 333", "10.3389/fnins.2016.00333", "1603.07341"),
    "gokmen2017": Paper("Gokmen, T. and Onen, M. and Haensch, W.", 2017,
        "Training deep convolutional neural networks with resistive cross-point devices", f"{_NEURO} 11, 538",
        "10.3389/fnins.2017.00538", "1705.08014"),
    "gokmen2018": Paper("Gokmen, T. and Rasch, M. J. and Haensch, W.", 2018,
        "Training LSTM networks with resistive cross-point devices", f"{_NEURO} 12, 745",
        "10.3389/fnins.2018.00745", "1806.00166"),
    "gokmen2020": Paper("Gokmen, T. and Haensch, W.", 2020, "Algorithm for training neural networks on resistive device arrays",
        f"{_NEURO} 14, 103", "10.3389/fnins.2020.00103", "1909.07908"),
    "gokmen2021": Paper("Gokmen, T.", 2021, "Enabling training of neural networks on noisy hardware", f"{_AI} 4, 699148",
        "10.3389/frai.2021.699148"),
    "gong2018": Paper("Gong, N. and Ide, T. and Kim, S. and Boybat, I. and Sebastian, A. and Narayanan, V. and Ando, T.", 2018,
        "Signal and noise extraction from analog memory elements for neuromorphic computing", f"{_COMMUN} 9, 2102",
        "10.1038/s41467-018-04485-1"),
    "gong2022": Paper("Gong, N. and Rasch, M. J. and others", 2022, "Deep learning acceleration in 14nm CMOS compatible ReRAM \
array: device, material and algorithm co-optimization", "IEDM"),
    "hu2022": Paper("Hu, E. J. and others", 2022,
        "LoRA: low-rank adaptation of large language models", "ICLR", arxiv="2106.09685"),
    "ielmini2007": Paper("Ielmini, D. and others", 2007,
        "Recovery and drift dynamics of resistance and threshold voltages in phase-change memories",
        "IEEE Transactions on Electron Devices 54, 308"),
    "joshi2020": Paper("Joshi, V. and others", 2020,
        "Accurate deep neural network inference using computational phase-change memory", f"{_COMMUN} 11, 2473",
        "10.1038/s41467-020-16108-9"),
    "joshi2020-essop": Paper("Joshi, V. and others", 2020,
        "ESSOP: efficient and scalable stochastic outer product architecture for deep learning", "ISCAS", arxiv="2003.11256"),
    "karunaratne2020": Paper("Karunaratne, G. and others", 2020, "In-memory hyperdimensional computing",
        "Nature Electronics 3, 327", arxiv="1906.01548"),
    "karunaratne2021": Paper("Karunaratne, G. and others", 2021, "Robust high-dimensional memory-augmented neural networks",
        f"{_COMMUN} 12, 2468", arxiv="2010.01939"),
    "kim2017": Paper("Kim, S. and Gokmen, T. and Lee, H.-M. and Haensch, W. E.", 2017,
        "Analog CMOS-based resistive processing unit for deep neural network training", "MWSCAS", arxiv="1706.06620"),
    "kim2019": Paper("Kim, S. and others", 2019,
        "Metal-oxide based, CMOS-compatible ECRAM for deep learning accelerator", "IEDM"),
    "kim2019-zero-shifting": Paper("Kim, H. and Rasch, M. J. and Gokmen, T. and others", 2019,
        "Zero-shifting technique for deep neural network training on resistive cross-point arrays", arxiv="1907.10228"),
    "legallo2023": Paper("Le Gallo, M. and others", 2023, _HERMES, "Nature Electronics 6, 680", "10.1038/s41928-023-01010-1"),
    "legallo2023-aihwkit": Paper("Le Gallo, M. and others", 2023,
        _TUTORIAL, "APL Machine Learning 1, 041102", arxiv="2307.09357"),
    "li2018": Paper("Li, Y. and others", 2018,
        "Capacitor-based cross-point array for analog neural network with record symmetry and linearity",
        "IEEE Symposium on VLSI Technology"),
    "li2024": Paper("Li, C. and Ferro, E. and Lammie, C. and Le Gallo, M. and Boybat, I. and Rajendran, B.", 2024,
        "Efficient transformer adaptation for analog in-memory computing via low-rank adapters", arxiv="2411.17367"),
    "li2026": Paper("Li and Wu, Z. and Liu and Gokmen, T. and Chen, T.", 2026, _MULTI_TILE, "AISTATS", arxiv="2510.02516"),
    "liu2025": Paper("Liu and others", 2025, "", _COMMUN, "10.1038/s41467-025-66240-7",
        what="Error-aware probabilistic update (EaPU)"),
    "mackin2022": Paper("Mackin, C. and others", 2022,
        "Optimised weight programming for analogue memory-based deep neural networks", f"{_COMMUN} 13, 3765",
        "10.1038/s41467-022-31405-1"),
    "milo2021": Paper("Milo, V. and others", 2021, "Accurate program/verify schemes of resistive switching memory (RRAM) for \
in-memory neural network circuits", "IEEE Transactions on Electron Devices 68, 3832"),
    "momeni2025": Paper("Momeni, A. and others", 2025, "Training of physical neural networks", "Nature 645, 53",
        arxiv="2406.03372"),
    "moraitis2017": Paper("Moraitis, T. and others", 2017,
        "Fatiguing STDP: learning from spike-timing codes in the presence of rate codes", "IJCNN", arxiv="1706.05563"),
    "nandakumar2019": Paper("Nandakumar, S. R. and others", 2019,
        "Phase-change memory models for deep learning training and inference", "ICECS"),
    "nandakumar2020": Paper("Nandakumar, S. R. and Le Gallo, M. and others", 2020,
        "Mixed-precision deep learning based on computational memory", f"{_NEURO} 14, 406"),
    "nandakumar2020-snn": Paper("Nandakumar, S. R. and others", 2020, _SNN, "Scientific Reports 10, 8080", arxiv="1905.11929"),
    "onen2022": Paper("Onen, M. and Gokmen, T. and Todorov, T. K. and others", 2022,
        "Neural network training with asymmetric crosspoint elements", f"{_AI} 5, 891624",
        "10.3389/frai.2022.891624", "2201.13377"),
    "rahimi2007": Paper("Rahimi, A. and Recht, B.", 2007, "Random features for large-scale kernel machines", "NeurIPS"),
    "rasch2018": Paper("Rasch, M. J. and Gokmen, T. and Rigotti, M. and Haensch, W.", 2018,
        "Efficient ConvNets for analog arrays", arxiv="1807.01356"),
    "rasch2020": Paper("Rasch, M. J. and Gokmen, T. and Haensch, W.", 2020,
        "Training large-scale artificial neural networks on simulated resistive crossbar arrays", "IEEE Design and Test",
        arxiv="1906.02698"),
    "rasch2021": Paper("Rasch, M. J. and others", 2021, _TOOLKIT, "AICAS", arxiv="2104.02184"),
    "rasch2023": Paper("Rasch, M. J. and Mackin, C. and Le Gallo, M. and others", 2023, _HWA, f"{_COMMUN} 14, 5282",
        "10.1038/s41467-023-40770-4", "2302.08469"),
    "rasch2024": Paper("Rasch, M. J. and Carta, F. and Fagbohungbe, O. and Gokmen, T.", 2024,
        "Fast and robust analog in-memory deep neural network training", f"{_COMMUN} 15, 7133", "10.1038/s41467-024-51221-z",
        "2303.04721"),
    "shafiee2016": Paper("Shafiee, A. and others", 2016,
        "ISAAC: a convolutional neural network accelerator with in-situ analog arithmetic in crossbars", "ISCA"),
    "siguros2025": Paper("Siguros", 2025, "", "github.com/Siguros/aihwkit_lrtt", what="low-rank Tiki-Taka"),
    "tang2018": Paper("Tang, J. and others", 2018,
        "ECRAM as scalable synaptic cell for high-speed, low-power neuromorphic computing", "IEDM"),
    "wan2013": Paper("Wan, L. and others", 2013, "Regularization of neural networks using DropConnect", "ICML"),
    "wan2022": Paper("Wan, W. and others", 2022, "A compute-in-memory chip based on resistive random-access memory",
        "Nature 608, 504", "10.1038/s41586-022-04992-8"),
    "wu2024": Paper("Wu, Z. and Gokmen, T. and Rasch, M. J. and Chen, T.", 2024,
        "Towards exact gradient-based training on analog in-memory computing", "NeurIPS", arxiv="2406.12774"),
    "wu2024-pipeline": Paper("Wu, Z. and Xiao, Q. and Gokmen, T. and Tsai, H. and El Maghraoui, K. and Chen, T.", 2024,
        "Pipeline gradient-based model training on analog in-memory accelerators", arxiv="2410.15155"),
    "wu2025": Paper(_WU, 2025, _RESPONSE, "NeurIPS", arxiv="2502.06309"),
    "xiao2026": Paper("Xiao, Q. and Li and Wu, Z. and Gokmen, T. and Chen, T.", 2026,
        "Dynamic symmetric point tracking: tackling non-ideal reference in analog in-memory training", arxiv="2602.21321"),
    "yang2008": Paper("Yang, J. J. and others", 2008, "Memristive switching mechanism for metal/oxide/metal nanodevices",
        "Nature Nanotechnology 3, 429"),
    "zamanidoost2015": Paper("Zamanidoost, E. and Bayat, F. M. and Strukov, D. and Kataeva, I.", 2015,
        "Manhattan rule training for memristive crossbar circuit pattern classifiers",
        "IEEE International Symposium on Intelligent Signal Processing"),
    "zhou2016": Paper("Zhou, S. and others", 2016,
        "DoReFa-Net: training low bitwidth convolutional neural networks with low bitwidth gradients", arxiv="1606.06160"),
    "zhou2021": Paper("Zhou, C. and others", 2021, _ANALOGNETS, arxiv="2111.06503"),
}
# fmt: on
