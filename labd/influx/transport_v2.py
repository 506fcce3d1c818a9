"""Takes ready lines to `/api/v2/write` of InfluxDB 2.x and 3, and of what speaks like them."""

from __future__ import annotations

from types import TracebackType
from typing import Any

import aiohttp
from influxdb_client.client.influxdb_client_async import InfluxDBClientAsync
from influxdb_client.rest import ApiException
from influxdb_client.service.write_service import WriteService

from labd.influx.answers import Answer, Verdict, answer_of
from labd.influx.transport import PRECISION, TEXT, OverHttp

NOT_CUT = (aiohttp.ClientConnectorError, TimeoutError)  # aiohttp counts them among the faults of a connection too


class V2(OverHttp):
    """`/api/v2/write` through influxdb-client, as a carrier of ready bytes: its batching, retries and compression fall short."""

    async def __aenter__(self) -> V2:
        server = self._server
        trusted = {} if server.tls_ca is None else {"ssl_ca_cert": str(server.tls_ca)}
        self._client = InfluxDBClientAsync(
            server.url, token=server.token, org=server.organisation or "-", timeout=round(1000 * server.timeout_s), **trusted
        )
        self._service: Any = WriteService(self._client.api_client)  # type: ignore[no-untyped-call]
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._client.close()  # type: ignore[no-untyped-call]
        await self._http.aclose()

    async def write(self, body: bytes, *, zipped: bool) -> Answer:
        server = self._server
        given = {"content_encoding": "gzip"} if zipped else {}
        try:
            await self._service.post_write_async(
                org=server.organisation or "-",
                bucket=server.database,
                body=body,
                precision=PRECISION,
                async_req=False,
                _return_http_data_only=False,
                content_type=TEXT,
                **given,
            )
        except ApiException as error:
            said = error.body.decode(errors="replace") if isinstance(error.body, bytes) else str(error.body or "")
            return answer_of(error.status or 0, _lower(error.headers), said or str(error.reason or ""))
        except (aiohttp.ClientError, OSError) as error:
            cut = isinstance(error, (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError)) and not isinstance(error, NOT_CUT)
            text = str(error) or type(error).__name__
            return Answer(Verdict.RESET, f"the connection was cut: {text}") if cut else Answer(Verdict.AWAY, text)
        return Answer(Verdict.DELIVERED)


def _lower(headers: Any) -> dict[str, str]:
    return {str(name).lower(): str(value) for name, value in dict(headers or {}).items()}
