"""Serve the review page on this machine alone, and write what it saves to review.csv.

Any web page can make a browser send requests here. So a request must name this server as its host
(no other name may lead here), and one that saves must come from the page itself.
"""

from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock

from ganaug.curating.reviews import Review, as_text, merge_reviews, parse_reviews, read_reviews
from ganaug.errors import DatasetError, GanaugError, explained, one_line
from ganaug.fileio import write_text
from ganaug.reviewing.review import Gallery, render_page, version_of

LOOPBACK = "127.0.0.1"
MOST_BYTES = 2**23  # of a table that is saved; a row has about 60


class ReviewServer(ThreadingHTTPServer):
    """Serves one gallery; `serve_forever` until it is interrupted.

    Args:
        gallery: the images.
        reviews: the table to show and to write.
        port: 0 for any free one.
    Raises:
        GanaugError: the port can't be used.
    """

    def __init__(self, gallery: Gallery, reviews: Path, *, port: int) -> None:
        with explained(GanaugError, f"--port {port}: can't be used", OSError, OverflowError):
            super().__init__((LOOPBACK, port), _Handler)
        self.gallery, self._path, self._lock = gallery, reviews, Lock()
        self.hosts = {f"{name}:{self.server_port}" for name in (LOOPBACK, "localhost")}
        self.url = f"http://{LOOPBACK}:{self.server_port}/"

    def page(self) -> str:
        """The page with what review.csv says now."""
        return render_page(self.gallery, self._read(), serve=True)

    def save(self, text: str, *, version: str | None) -> str:
        """Write the page's table, and the earlier rows about images that are not on the page.

        Args:
            text: the table.
            version: of the table that the page was made from.
        Returns:
            The new version.
        Raises:
            DatasetError: it breaks a rule, or another page has saved since.
        """
        later = parse_reviews(text, self.gallery.classes, where="not saved")
        shown = {*self.gallery.image_ids(), self.gallery.set_id}
        with self._lock:
            earlier = self._read()
            if version_of(earlier) != version:
                raise DatasetError("not saved: review.csv has changed; reload, your work is kept")
            merged = merge_reviews(earlier, later, shown=shown)
            write_text(as_text(merged), self._path)
        return version_of(merged)

    def _read(self) -> Sequence[Review]:
        return read_reviews(self._path, self.gallery.classes)


class _Handler(BaseHTTPRequestHandler):
    """GET / is the page, POST /review saves."""

    server: ReviewServer
    timeout = 30  # seconds without a byte

    def do_GET(self) -> None:
        if self.headers["Host"] not in self.server.hosts:
            self._answer(403, "not the name of this server")
        elif self.path != "/":
            self._answer(404, "nothing here")
        else:
            self._answer_with(self.server.page, kind="text/html")

    def do_POST(self) -> None:
        length = self.headers["Content-Length"] or ""
        own = {f"http://{host}" for host in self.server.hosts}
        if self.headers["Host"] not in self.server.hosts or self.headers["Origin"] not in own:
            self._answer(403, "not from the page of this server")
        elif self.path != "/review":
            self._answer(404, "nothing here")
        elif not length.isdecimal() or int(length) > MOST_BYTES:
            self._answer(413, f"not a table of at most {MOST_BYTES} bytes")
        else:
            table, version = self.rfile.read(int(length)), self.headers["If-Match"]
            self._answer_with(lambda: self.server.save(table.decode(), version=version))

    def _answer_with(self, make: Callable[[], str], *, kind: str = "text/plain") -> None:
        """Answer with what is made, or say in one line why it can't be."""
        try:
            text = make()
        except (DatasetError, UnicodeDecodeError, OSError) as error:
            self._answer(400, one_line(error))
        else:
            self._answer(200, text, kind=kind)

    def _answer(self, status: int, text: str, *, kind: str = "text/plain") -> None:
        content = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("X-Frame-Options", "DENY")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing of each request."""
