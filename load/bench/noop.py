"""An ingest that does nothing: what gunicorn and falcon cost before any work. ``gunicorn load.bench.noop:app``."""

import falcon


class Accept:
    """Answers 202 without looking."""

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        req.bounded_stream.read()
        resp.status = falcon.HTTP_202
        resp.data = b'{"status":"accepted"}'


app = falcon.App()
app.add_route("/api/v2/ingest", Accept())
