"""Who answers: OpenAI and compatible servers, Azure OpenAI, the embedded model."""
