"""Takes ready lines to `/api/v2/write` of InfluxDB 2.x and 3, and of what speaks like them."""

from __future__ import annotations

from types import TracebackType
from typing import Any

import aiohttp
from influxdb_client.client.influxdb_client_async import InfluxDBClientAsync
from influxdb_client.rest import ApiException
from influxdb_client.service.write_service import WriteService

from labd.influx.answers import Answer, Verdict, answer_of
from labd.influx.transport import MALFORMED, PRECISION, TEXT, OverHttp, cut, slow, words


class V2(OverHttp):
    """`/api/v2/write` through influxdb-client, as a carrier of ready bytes: its batching, retries and compression fall short."""

    async def __aenter__(self) -> V2:
        server = self._server
        timeout = aiohttp.ClientTimeout(total=2 * server.timeout_s, sock_connect=server.timeout_s, sock_read=server.timeout_s)
        self._client = InfluxDBClientAsync(
            server.url,
            token=server.token,
            org=server.organisation or "-",
            timeout=timeout,
            ssl_context=server.tls,
            allow_redirects=False,  # it would follow as a GET without a body
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
            _, status, headers = await self._service.post_write_async(
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
        except ValueError:
            return MALFORMED
        except (aiohttp.ConnectionTimeoutError, aiohttp.ClientConnectorError) as error:
            return Answer(Verdict.AWAY, words(error))
        except TimeoutError:
            return slow(server)
        except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError) as error:
            return cut(error)
        except (aiohttp.ClientError, OSError) as error:
            return Answer(Verdict.AWAY, words(error))
        return answer_of(status, _lower(headers), "")


def _lower(headers: Any) -> dict[str, str]:
    return {str(name).lower(): str(value) for name, value in dict(headers or {}).items()}
