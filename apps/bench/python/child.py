"""Serves PyTorch over the line protocol of src/harness/protocol.ts: `python3 child.py THREADS`.

`python3 child.py --losses CASE_JSON` prints the losses of the first training steps in float64 instead.
"""

import base64
import json
import math
import os
import sys
import time

SHORTEST_INTERVAL = 1e-6


class Server:
    def __init__(self, threads):
        self.threads = threads
        self.case = None

    def describe(self):
        try:
            import torch
        except ImportError as error:
            return {"name": "pytorch", "version": "", "unavailable": f"{error}; install PyTorch for {sys.executable}"}
        torch.set_num_threads(self.threads)
        return {"name": "pytorch", "version": torch.__version__}

    def prepare(self, case):
        from conv2d import Conv2d
        from gpt_step import GptStep
        from matmul import Matmul
        from ops import Op
        from vgg import Vgg

        self.case = None
        kinds = {"conv2d": Conv2d, "matmul": Matmul, "op": Op, "vgg": Vgg, "gpt-step": GptStep}
        if case["kind"] not in kinds:
            return {"prepared": False}
        self.case = kinds[case["kind"]](case)
        return {"prepared": True}

    def output(self, indices):
        values = self.case.output()
        if indices is not None:
            values = values[indices]
        return {"values": base64.b64encode(values.float().contiguous().numpy().tobytes()).decode()}

    def measure(self, warmUpMs, sampleMs, samples, turnMs):
        """Means over as many runs as fill a sample, in milliseconds; the same procedure as in src/harness/measure.ts."""
        turn_start = time.perf_counter()
        while time.perf_counter() - turn_start < warmUpMs / 1000:
            self.case.run()
        runs = 1
        times = []
        while not times or (len(times) < samples and time.perf_counter() - turn_start < turnMs / 1000):
            start = time.perf_counter()
            for _ in range(runs):
                self.case.run()
            elapsed = time.perf_counter() - start
            if elapsed * 1000 >= sampleMs:
                times.append(elapsed * 1000 / runs)
            else:
                attempt = math.ceil(1.2 * runs * sampleMs / 1000 / max(elapsed, SHORTEST_INTERVAL))
                runs = max(runs + 1, attempt)
        return {"samplesMs": times}

    def release(self):
        self.case = None
        return {}


METHODS = {"describe", "prepare", "output", "measure", "release"}


def answer(server, request):
    try:
        if request["method"] not in METHODS:
            raise ValueError(f"no method is called {request['method']}")
        return {"id": request["id"], "result": getattr(server, request["method"])(**request["parameters"])}
    except Exception as error:  # The harness reports it and goes on with other cases.
        return {"id": request["id"], "error": f"{type(error).__name__}: {error}"}


def serve(threads):
    # Standard output belongs to the protocol; whatever a library prints goes to standard error.
    protocol = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    server = Server(threads)
    for line in sys.stdin:
        print(json.dumps(answer(server, json.loads(line))), file=protocol, flush=True)


def print_losses(case):
    import torch
    from gpt_step import GptStep
    from vgg import Vgg

    kinds = {"gpt-step": GptStep, "vgg": Vgg}
    print(kinds[case["kind"]](case, torch.float64).output().tolist())


if __name__ == "__main__":
    if sys.argv[1] == "--losses":
        print_losses(json.loads(sys.argv[2]))
    else:
        serve(int(sys.argv[1]))
