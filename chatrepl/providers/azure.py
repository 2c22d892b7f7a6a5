"""Azure OpenAI: the same API behind deployments and api-versions."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from chatrepl.chat.catalogue import Served
from chatrepl.chat.ports import Request
from chatrepl.providers.endpoint import Endpoint
from chatrepl.providers.openai import OpenAIProvider

if TYPE_CHECKING:
    import openai

DEFAULT_API_VERSION = "2024-10-21"
"""The newest generally available api-version of Azure's dated API."""

_MODEL_HINT = (
    "Check the deployment's name (-m, or deployments in the config file), AZURE_OPENAI_ENDPOINT "
    "and OPENAI_API_VERSION; chatrepl doctor tells which it is."
)


class AzureProvider(OpenAIProvider):
    """Asks a deployment of an Azure OpenAI resource.

    `deployments` maps model names to deployment names; a model that is not in it is asked for
    under its own name.
    """

    def __init__(
        self, endpoint: Endpoint, api_version: str, deployments: Mapping[str, str]
    ) -> None:
        super().__init__(replace(endpoint, model_hint=_MODEL_HINT))
        self._api_version = api_version
        self._deployments = deployments

    def served(self) -> Sequence[Served]:
        """List the deployments of the config file: a resource does not list its own."""
        return tuple(map(Served, self._deployments))

    def look_up(self, model: str) -> Served | None:
        """Say nothing: a resource tells no windows."""
        return None

    def _model(self, request: Request) -> str:
        # The client puts it into the path: /openai/deployments/NAME/chat/completions.
        return self._deployments.get(request.card.name, request.card.name)

    def _connect(self, **options: Any) -> "openai.OpenAI":
        from chatrepl.providers.lean import openai  # noqa: PLC0415 - a quarter of a second

        return openai.AzureOpenAI(
            azure_endpoint=self.endpoint.base_url or "",
            api_key=self.endpoint.api_key,
            api_version=self._api_version,
            **options,
        )
