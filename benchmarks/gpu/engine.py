"""An engine of a contest in a process of its own, told by lines when to work (org.warpbert.bench.Turns)."""
import json
import signal
import subprocess
import threading


class Absent(Exception):
    """An engine that is not here, with the reason; `failed` where it should be."""

    def __init__(self, reason, failed=True):
        super().__init__(reason)
        self.failed = failed


class EngineProcess:
    def __init__(self, title, command, log):
        """Starts it and does not wait. log: the file that its standard error goes to."""
        self.title = title
        self.log = log
        with open(log, "w", encoding="utf-8") as errors:
            errors.write(" ".join(command) + "\n")
            errors.flush()
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True)

    def ready(self, seconds):
        answer = self._answer(seconds)
        if answer.startswith("skip "):
            raise Absent(answer[len("skip "):], failed=False)
        if answer != "ready":
            raise Absent("it said '" + answer + "' in place of ready")

    def run(self, times, seconds):
        """Does the work so many times; seconds of one."""
        self._order(f"run {times}")
        return self._told(int, seconds) * 1e-9 / times

    def finish(self, seconds):
        """Ends it; what it is."""
        self._order("end")
        return self._told(json.loads, seconds)

    def close(self):
        self.process.kill()
        self.process.wait()

    def _order(self, line):
        try:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise Absent(self._last_words()) from None

    def _answer(self, seconds):
        late = threading.Timer(seconds, self.process.kill)
        late.start()
        answer = self.process.stdout.readline()
        late.cancel()
        if answer:
            return answer.rstrip("\n")
        if self.process.wait() == -signal.SIGKILL:
            raise Absent(f"it was killed, or gave no answer within {seconds:.0f} s")
        raise Absent(self._last_words())

    def _told(self, kind, seconds):
        answer = self._answer(seconds)
        try:
            return kind(answer)
        except ValueError:
            raise Absent("it said '" + answer[:100] + "' in place of its answer") from None

    def _last_words(self):
        with open(self.log, encoding="utf-8", errors="replace") as errors:
            lines = [line.strip() for line in errors if line.strip()]
        return f"it ended, code {self.process.wait()}: {lines[-1][:300]}"
