"""What the bot looks at: curves in TensorBoard's event files, and gradient-model-metadata.json."""

import json
import os
from pathlib import Path

from tensorboardX import SummaryWriter


class Results:
    """Writes a point an epoch, and the document at the end."""

    def __init__(self) -> None:
        self._directory = Path(os.environ.get("PS_MODEL_PATH", "/artifacts"))
        self._directory.mkdir(parents=True, exist_ok=True)
        self._curves = SummaryWriter(str(self._directory / "logs"))

    def epoch(self, number: int, loss: float, accuracy: float) -> None:
        self._curves.add_scalar("loss", loss, number)
        self._curves.add_scalar("accuracy", accuracy, number)
        self._curves.flush()
        print(f"epoch {number:2}: loss {loss:.4f}, accuracy {accuracy:.4f}")

    def end(self, **document: object) -> None:
        self._curves.close()
        (self._directory / "gradient-model-metadata.json").write_text(json.dumps(document, indent=2) + "\n")
