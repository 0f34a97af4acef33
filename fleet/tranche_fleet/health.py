"""What `health` answers. Figures of JVM and CPU are plausible constants: nobody should decide by them."""

from __future__ import annotations

from typing import Any

from tranche_fleet.edition import Edition

JVM = {
    "max non heap memory(M)": -9.5367431640625e-07,
    "java version": "17.0.15",
    "max memory(M)": 512.0,
    "max heap memory(M)": 512.0,
    "used heap memory(M)": 128.5,
    "used non heap memory(M)": 80.25,
    "loaded class count": 12052,
    "init non heap memory(M)": 7.3125,
    "total memory(M)": 221.0,
    "free memory(M)": 92.5,
    "unload class count": 2,
    "total class count": 12054,
    "committed heap memory(M)": 221.0,
    "java home": "/usr/lib/jvm/java-17",
    "init heap memory(M)": 378.0,
    "committed non heap memory(M)": 85.0625,
}
METASPACE = {
    "java max metaspace": -1,
    "java committed metaspace": 68943872,
    "java used metaspace": 67398176,
}
CPU = {
    "count": 2,
    "total used (%)": 7270.0,
    "type": "simulated",
    "user used (%)": 2.2,
    "free (%)": 3.0,
    "system used (%)": 4.9,
}


def indicators(edition: Edition, uptime_s: float) -> dict[str, dict[str, Any]]:
    """The figures by name. Only 2.1.11 tells the metaspace."""
    metaspace = METASPACE if edition.state_records else {}
    return {"jvm": {**JVM, **metaspace, "run time(s)": round(uptime_s, 3)}, "cpu": CPU}


def plugins(edition: Edition) -> list[dict[str, str]]:
    """The ark plugins of a base."""
    return [
        _plugin(
            "com.alipay.sofa",
            "web-ark-plugin",
            "com.alipay.sofa.ark.web.embed.WebPluginActivator",
            edition.sofa_ark,
        ),
        _plugin(
            "com.alipay.sofa.koupleless",
            "koupleless-base-plugin",
            "com.alipay.sofa.koupleless.plugin.ServerlessRuntimeActivator",
            edition.koupleless,
        ),
    ]


def _plugin(group: str, name: str, activator: str, version: str) -> dict[str, str]:
    return {
        "artifactId": name,
        "groupId": group,
        "pluginActivator": activator,
        "pluginName": name,
        "pluginUrl": f"file:/opt/base/base.jar!/BOOT-INF/lib/{name}-{version}.jar!/",
        "pluginVersion": version,
    }
