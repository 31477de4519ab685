"""Build the `mta` package; bundled plugins, shipped configuration and docs travel inside it as `mta/shipped/`."""

from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
SHIPPED = ("plugins", "etc", "docs")
PASSWORDS = ["argon2-cffi>=23", "bcrypt>=4", "libpass>=1.9"]
SASL = ["scramp>=1.5"]
REDIS = ["redis>=5"]
CLIENTS = [
    "requests>=2.31",
    "psycopg[binary]>=3.2",
    "ldap3>=2.9",
]  # what plugins of the tests use; no plugin of ours does
TITLE = ["setproctitle>=1.3"]


def version() -> str:
    text = (ROOT / "mta" / "version.py").read_text(encoding="utf-8")
    return text.split('VERSION = "')[1].split('"')[0]


def shipped_packages() -> dict[str, str]:
    """Map each folder that is shipped to a package of its own below mta.shipped, so that a wheel holds them."""
    packages = {}
    for top in SHIPPED:
        for folder in [ROOT / top, *(ROOT / top).rglob("*")]:
            if folder.is_dir() and folder.name != "__pycache__":
                relative = folder.relative_to(ROOT)
                packages["mta.shipped." + ".".join(relative.parts)] = str(relative)
    return packages


setup(
    name="haraka-mta",
    version=version(),
    description="A mail transfer agent on gevent that speaks Haraka's configuration, hooks and queue files",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    python_requires=">=3.11",
    packages=find_packages(include=["mta", "mta.*"]) + list(shipped_packages()),
    package_dir=shipped_packages(),
    package_data={"mta": ["py.typed"], **{name: ["*"] for name in shipped_packages()}},
    install_requires=[
        "gevent>=25.4",
        "dnspython>=2.7",
        "PyYAML>=6",
        "cryptography>=42",
        "pyOpenSSL>=25",
        "tomli>=2",
        "idna>=3.6",
        "publicsuffixlist>=1.0",
    ],
    extras_require={
        "passwords": PASSWORDS,
        "sasl": SASL,
        "redis": REDIS,
        "title": TITLE,
        "test": [
            "pytest>=8",
            "pytest-timeout",
            "pytest-xdist>=3.6",
            "hypothesis",
            "trustme",
            "flufl.bounce>=4",
            "jsonschema>=4.18",
            "setuptools>=70.1",  # the template package is built with what is there
            *PASSWORDS,
            *SASL,
            *REDIS,
            *CLIENTS,
            *TITLE,
        ],
        "fuzz": ["atheris>=3"],
        # What the bench measures beside Haraka; slimta asks for pkg_resources, which setuptools no longer has.
        "bench": ["aiosmtpd>=1.4.6", "python-slimta==5.0.5", "setuptools<81"],
        "lint": ["ruff", "mypy", "types-PyYAML", "types-gevent"],
    },
    entry_points={
        "console_scripts": ["haraka = mta.__main__:main"],
        "pytest11": ["haraka = mta.pytest_plugin"],
    },
    zip_safe=False,
)
