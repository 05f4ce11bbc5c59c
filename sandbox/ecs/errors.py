"""What a call is refused with, in AWS's own codes and words."""

from __future__ import annotations


class ApiError(Exception):
    """An answer other than success: AWS's error code, one sentence and an HTTP status."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status


def invalid(message: str) -> ApiError:
    """Refuse a parameter's value."""
    return ApiError("InvalidParameterException", message)


def client_error(message: str) -> ApiError:
    """Refuse a request that AWS blames on the caller without a code of its own."""
    return ApiError("ClientException", message)


def cluster_not_found() -> ApiError:
    """Refuse a name that no cluster of this account has."""
    return ApiError("ClusterNotFoundException", "Cluster not found.")


def service_not_found() -> ApiError:
    """Refuse a name that no service of the cluster has."""
    return ApiError("ServiceNotFoundException", "Service not found.")


def service_not_active() -> ApiError:
    """Refuse to change a service that was deleted or drains."""
    return ApiError("ServiceNotActiveException", "Service was not ACTIVE.")
