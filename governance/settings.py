"""The one settings file. It is safe as it stands; `governance/env.py` lists what the environment may decide."""

from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.utils.csp import CSP

from governance import env, logs

BASE_DIR = Path(__file__).resolve().parents[1]

# ------------------------------------------------------------------------------------------------- what we are

DEBUG, DEMO = map(env.flag, ("DEBUG", "DEMO"))
CONSOLE_URL = env.public_url("CONSOLE_URL", allow_http=DEMO)
GATEWAY_URL = env.public_url("GATEWAY_URL", allow_http=DEMO)
EDGE_URL = env.public_url(env.first_set("EDGE_URL", "CONSOLE_URL"), allow_http=DEMO)
RELAY_URL = env.text("RELAY_URL") or GATEWAY_URL
env.for_this_machine_alone({"DEMO": DEMO, "DEBUG": DEBUG}, CONSOLE_URL, GATEWAY_URL)
IS_HTTPS = CONSOLE_URL.startswith("https://")
SECRET_KEY = env.secret("SECRET_KEY", at_least=50).reveal()
NODE_ID, NODE_ADDRESS, EDGE_ROLES = env.text("NODE_ID"), env.node_address(), tuple(env.listed("EDGE_ROLES"))
ISSUES_ALONE = EDGE_ROLES == ("issuer",)  # such a node has the issuers' database role and key, and needs no other
SIGNING_KEY_ENCRYPTION_KEY, SIGNING_KEY_ENCRYPTION_KEY_PREVIOUS = env.keys("SIGNING_KEY_ENCRYPTION_KEY")
_is_needed = not (ISSUES_ALONE and SIGNING_KEY_ENCRYPTION_KEY)
KEY_ENCRYPTION_KEY, KEY_ENCRYPTION_KEY_PREVIOUS = env.keys("KEY_ENCRYPTION_KEY", is_needed=_is_needed)
ANCHOR_FILE, SEAL_KEY_FILE, ALIVE_FILE = map(env.text, ("ANCHOR_FILE", "SEAL_KEY_FILE", "ALIVE_FILE"))
TIME_STAMP_URL, TIME_STAMP_CA_FILE = env.time_stamps()
(SIGNER, TRANSIT, PKCS11), OTLP = env.signers(), env.otlp()
PRIVATE_NETWORKS, TRUSTED_PROXIES, REGISTRY_READERS = env.all_networks()
SETUP_FIRST = True  # high-risk access is refused until set-up's first lines are green: governance/setup/readiness.py
METRICS_TOKEN = env.secret("METRICS_TOKEN", at_least=20 if env.text("METRICS_TOKEN") else 0)

# Links are built from CONSOLE_URL and never from a Host header, which this list only limits.
ALLOWED_HOSTS = env.listed("ALLOWED_HOSTS") or [str(urlsplit(CONSOLE_URL).hostname)]
CSRF_TRUSTED_ORIGINS = [CONSOLE_URL]

INSTALLED_APPS = [
    "governance",
    "entitlements",
    "audit",
    "governance.apps.OfficeConfig",  # django.contrib.admin behind our own sign-in
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.humanize",
    "django.contrib.postgres",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "django_filters",
    "django_htmx",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "oauth2_provider",
    "rest_framework",
]

MIDDLEWARE = [
    "governance.console.middleware.ClientAddressMiddleware",  # first: all others read where a request comes from
    "governance.operations.hosts.KnownHostMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.middleware.csp.ContentSecurityPolicyMiddleware",
    "governance.operations.health.ClockMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "entitlements.oauth.documents.DocumentsMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "governance.console.middleware.VisibleCharactersMiddleware",  # inside the one that says how long an answer is
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "governance.console.middleware.VisitMiddleware",
    "governance.console.middleware.SecondFactorMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    # Every view asks for a person unless it says `login_not_required`: a forgotten decorator then closes a door.
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]

ROOT_URLCONF = "governance.urls"
WSGI_APPLICATION = "governance.wsgi.application"
APPEND_SLASH = False  # a POST must never be redirected; console pages are linked with their slash
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.csp",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "governance.console.shell.shell",
            ],
            "libraries": {"console": "governance.console.tags", "kit": "governance.console.kit.tags"},
        },
    },
]

# ------------------------------------------------------------------------------------------------ where rows live

# Connections stay open per server thread and are checked once a request: a database that restarted costs no error.
# A transaction pooler loses a cursor outside a transaction: `governance/database/cursors.py` opens them inside.
SERVING = {
    "CONN_MAX_AGE": 600,
    "CONN_HEALTH_CHECKS": True,
    "ATOMIC_REQUESTS": False,
    "DISABLE_SERVER_SIDE_CURSORS": True,
}
OWN_ADDRESS = env.first_set("ISSUE_DATABASE_URL", "DATABASE_URL") if ISSUES_ALONE else "DATABASE_URL"
DATABASES: dict[str, dict[str, Any]] = {"default": {**env.database(OWN_ADDRESS), **SERVING}}
if env.text("MIGRATE_DATABASE_URL"):  # absent where the product serves: those processes must not hold the owner's key
    DATABASES["owner"] = env.database("MIGRATE_DATABASE_URL")
    # A migration that waits for a table keeps all others behind it waiting too: it gives up soon and is tried again,
    # sooner than PostgreSQL looks for deadlocks (1 s): of two who wait for each other the migration is the one to go.
    DATABASES["owner"]["OPTIONS"].setdefault("options", "-c lock_timeout=300ms")

# What the edge's change feed and the sealer's lock use alone: notifications and a lock need a connection of their own.
FEED_DATABASE: dict[str, Any] = env.database(env.first_set("FEED_DATABASE_URL", OWN_ADDRESS))
# Where the edge's issuers read and write: a role that may execute the functions that issue, and write nothing else.
ISSUE_DATABASE = env.database(env.first_set("ISSUE_DATABASE_URL", "DATABASE_URL"))
DATABASE_FAILOVER = env.one_of("DATABASE_FAILOVER", "auto", "yes", "no")
SEAL_DATABASE = env.database("SEAL_DATABASE_URL") if env.text("SEAL_DATABASE_URL") else None
DATABASE_ROLES = {
    "owner": env.role("MIGRATE_DATABASE_URL", "mandate_owner"),
    "app": env.role(OWN_ADDRESS, "mandate_app"),
    "seal": env.role("SEAL_DATABASE_URL", "mandate_seal"),
    "issue": env.role("ISSUE_DATABASE_URL", "mandate_issue"),
}
REDIS_URL = env.redis_url("REDIS_URL")
DISCOVERY_EVERY = timedelta(minutes=env.count("DISCOVERY_MINUTES"))
LISTEN_TO_SYSTEMS = env.flag("LISTEN_TO_SYSTEMS")

# How long an agent goes unused before it is shown so, asked about, suspended (`governance/ownership/dormancy.py`).
DORMANT_AFTER = env.rising_days(warn="DORMANT_WARN_DAYS", ask="DORMANT_ASK_DAYS", suspend="DORMANT_SUSPEND_DAYS")

# The greatest age of a sign-in that an ID token may tell of, wherever it comes in (`entitlements/tokens/id_tokens.py`).
SIGN_IN_MAX_AGE = timedelta(minutes=env.count("SIGN_IN_MAX_AGE_MINUTES"))
DYNAMIC_REGISTRATION = env.flag("DYNAMIC_REGISTRATION")
DPOP_REQUIRED = env.one_of("DPOP_REQUIRED", "no", "public", "all")
REFRESH_REUSE_WINDOW = timedelta(seconds=env.up_to("REFRESH_REUSE_SECONDS", 1800))

# How long an ephemeral agent may exist, and an unused client is kept as it is (`entitlements/agents/lifecycle.py`).
EPHEMERAL_AGENT_LONGEST = timedelta(hours=env.count("EPHEMERAL_AGENT_HOURS"))
CLIENT_IDLE_AFTER = env.rising_days(hide="CLIENT_HIDE_DAYS", close="CLIENT_CLOSE_DAYS", delete="CLIENT_DELETE_DAYS")


# `entitlements/ratelimits.py` and `entitlements/people/attempts.py` say of what.
_LIMITED = ("tokens", "person", "api", "pages", "registrations", "sign_in")
RATE_LIMITS = {limit: env.count(f"RATE_LIMIT_{limit.upper()}") for limit in _LIMITED}
UPSTREAM_BOUNDS = [env.count(f"UPSTREAM_{of}") for of in ("AT_ONCE", "FAILURES", "FAILURE_SECONDS", "PAUSE_SECONDS")]

# In memory and per process: what is cached here is never authority, and nothing pickled ever lies in Redis.
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}

# ------------------------------------------------------------------------------------------------ people, sessions

AUTH_USER_MODEL = "entitlements.Person"
LOGIN_URL = "/login/"
LOGIN_REDIRECT_URL = "/"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}", "OPTIONS": options}
    for name, options in {
        "UserAttributeSimilarityValidator": {},
        "MinimumLengthValidator": {"min_length": 12},
        "CommonPasswordValidator": {},
    }.items()
]

AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
ACCOUNT_ADAPTER = "governance.sign_in.allauth_adapter.AccountAdapter"
ACCOUNT_USER_MODEL_USERNAME_FIELD = "login"
ACCOUNT_USER_MODEL_EMAIL_FIELD = "email"
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*"]  # read only by the sign-up that does not exist
ACCOUNT_EMAIL_VERIFICATION = "none"
# Its limits by address lock out all people there, and those by login their person: `entitlements/people/attempts.py`
# counts.
ACCOUNT_RATE_LIMITS = {"login": "", "login_failed": ""}
ACCOUNT_SESSION_REMEMBER = False
ACCOUNT_LOGOUT_REDIRECT_URL = LOGIN_URL
ACCOUNT_REAUTHENTICATION_TIMEOUT = 300
MFA_ADAPTER = "governance.sign_in.allauth_adapter.SecondFactor"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_RATE_LIMITS = {"webauthn_login": ""}  # a signature is not guessed, and a stranger must not use up the attempts
MFA_FORMS = {
    "authenticate": "governance.sign_in.allauth_adapter.CodeForm",
    "reauthenticate": "governance.sign_in.allauth_adapter.CodeAgainForm",
}
MFA_TOTP_ISSUER = "Mandate"
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = DEMO
SOCIALACCOUNT_ADAPTER = "governance.sign_in.company_sign_in.CompanyAccountAdapter"
SOCIALACCOUNT_AUTO_SIGNUP = False
SOCIALACCOUNT_LOGIN_ON_GET = True  # the policy lets no form lead to another site, not even through a redirect
SOCIALACCOUNT_STORE_TOKENS = False
OIDC_ISSUER, SOCIALACCOUNT_PROVIDERS = env.text("OIDC_ISSUER"), env.company_sign_in()

SESSION_IDLE_SECONDS = 60 * 60
SESSION_ENGINE = "governance.sign_in.sessions"
SESSION_COOKIE_AGE = 12 * 60 * 60  # the absolute limit, kept by `governance.console.middleware` like the idle one
SESSION_EXPIRE_AT_BROWSER_CLOSE = True
SESSION_COOKIE_NAME = "__Host-session" if IS_HTTPS else "session"
SESSION_COOKIE_SECURE = IS_HTTPS
SESSION_COOKIE_SAMESITE = "Lax"  # Strict would lose the session on the way back from a sign-in elsewhere
CSRF_COOKIE_NAME = "__Host-csrf" if IS_HTTPS else "csrf"
CSRF_COOKIE_SECURE = IS_HTTPS
CSRF_COOKIE_HTTPONLY = True
CSRF_COOKIE_SAMESITE = "Strict"
CSRF_FAILURE_VIEW = "governance.console.errors.csrf"
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"

# ----------------------------------------------------------------------------------------------------- hardening

SECURE_HSTS_SECONDS = 2 * 365 * 24 * 60 * 60 if IS_HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SECURE_SSL_REDIRECT = IS_HTTPS
SECURE_REDIRECT_EXEMPT = [r"^readyz$", r"^metrics$"]  # asked for inside the cluster, without TLS
BEHIND_TLS_PROXY = env.flag("BEHIND_TLS_PROXY")
if BEHIND_TLS_PROXY:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_REFERRER_POLICY = "no-referrer"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
SECURE_CONTENT_TYPE_NOSNIFF = True
X_FRAME_OPTIONS = "DENY"
SECURE_CSP = {
    "default-src": [CSP.NONE],
    "script-src": [CSP.SELF, CSP.NONCE],
    "style-src": [CSP.SELF, CSP.NONCE],
    "img-src": [CSP.SELF, "data:"],
    "font-src": [CSP.SELF],
    "connect-src": [CSP.SELF],
    "form-action": [CSP.SELF],
    "base-uri": [CSP.NONE],
    "frame-ancestors": [CSP.NONE],
}
SILENCED_SYSTEM_CHECKS = [
    "security.W021",  # entering the browsers' preload list is the domain owner's decision
    "mail.W001",  # without MAIL_URL no mail is sent, and the set-up page says so
    "oauth2_provider.W008",  # http redirects are for native clients on loopback, see ALLOWED_REDIRECT_URI_SCHEMES
]
# What is sent as a file stays in memory; a larger one than the largest import is not taken.
FILE_UPLOAD_HANDLERS = ["django.core.files.uploadhandler.MemoryFileUploadHandler"]
FILE_UPLOAD_MAX_MEMORY_SIZE = 17 * 1024 * 1024
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024
DATA_UPLOAD_MAX_NUMBER_FIELDS = 5000  # sixty items of a review on one page, with a box for each of their tools

# ---------------------------------------------------------------------------------------------- words, time, files

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
STATIC_URL = "/static/"
# The demo serves the files from where they lie; elsewhere `collectstatic` gives each name its hash.
SERVES_COLLECTED = not (DEMO or DEBUG)
STATIC_ROOT = BASE_DIR / "staticfiles" if SERVES_COLLECTED else None
STATICFILES_DIRS = [folder for folder in (BASE_DIR / "static",) if folder.is_dir()]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.InMemoryStorage"},  # the product keeps no uploads
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if SERVES_COLLECTED
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}
WHITENOISE_USE_FINDERS = not SERVES_COLLECTED

MAILERS, DEFAULT_FROM_EMAIL = env.mailers(), env.text("MAIL_FROM")
SLACK_API_URL, TEAMS = env.slack(), env.teams()

LOGGING = logs.dictionary(env.one_of("LOG_LEVEL", "DEBUG", "INFO", "WARNING", "ERROR"))
logs.configure()

# ------------------------------------------------------------------------------------------------------------ API

REST_FRAMEWORK = {
    # `entitlements/api/endpoints.py` says the same for every view of ours; these hold for any other.
    "DEFAULT_PERMISSION_CLASSES": ["entitlements.api.permissions.ByMatrix"],
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PARSER_CLASSES": ["entitlements.api.parsers.StrictJSON"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_SCHEMA_CLASS": "entitlements.api.schema.Schema",
    "NUM_PROXIES": 0,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Mandate",
    "VERSION": "1",
    "SERVERS": [{"url": "/"}],  # wherever the document was fetched
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "OAS_VERSION": "3.1.0",
    "POSTPROCESSING_HOOKS": ["entitlements.api.schema.add_problems", "governance.api.document.complete"],
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SWAGGER_UI_SETTINGS": {"deepLinking": True, "docExpansion": "none", "filter": True, "persistAuthorization": False},
}

# ---------------------------------------------------------------------------------------------------------- OAuth

OAUTH2_PROVIDER_APPLICATION_MODEL = "entitlements.Client"
OAUTH2_PROVIDER_GRANT_MODEL = "entitlements.AuthorizationCode"
OAUTH2_PROVIDER_ACCESS_TOKEN_MODEL = "entitlements.OAuthAccessToken"  # noqa: S105 - the name of a model
OAUTH2_PROVIDER_REFRESH_TOKEN_MODEL = "entitlements.OAuthRefreshToken"  # noqa: S105 - the name of a model
OAUTH2_PROVIDER_ID_TOKEN_MODEL = "entitlements.OAuthIDToken"  # noqa: S105 - the name of a model
OAUTH2_PROVIDER_DEVICE_GRANT_MODEL = "entitlements.OAuthDeviceGrant"

# All of its models are replaced by ours, so its migrations make nothing; Django would build the classes of half of all
# models again for each of their operations (`tests/operate/test_migrations.py` says when this no longer holds).
MIGRATION_MODULES = {"oauth2_provider": None}

OAUTH2_PROVIDER: dict[str, Any] = {
    # RFC 9700, each recommendation enforced rather than warned about.
    "COMPLIANT_BCP_RFC9700_IMPLICIT_GRANT": True,
    "COMPLIANT_BCP_RFC9700_PASSWORD_GRANT": True,
    "COMPLIANT_BCP_RFC9700_PKCE_METHOD": True,
    "COMPLIANT_BCP_RFC9700_ACCESS_TOKEN_TRANSPORT": True,
    "COMPLIANT_BCP_RFC9700_AUTHZ_RESPONSE_ISS": True,
    "COMPLIANT_BCP_RFC9700_TOKEN_STORAGE": True,
    "COMPLIANT_BCP_RFC9700_REFRESH_TOKEN": True,
    "COMPLIANT_BCP_RFC9700_REDIRECT_URI_MATCHING": True,
    "COMPLIANT_BCP_RFC9700_PKCE_REQUIRED": True,
    "PKCE_REQUIRED": True,
    "REFRESH_TOKEN_REUSE_PROTECTION": True,
    "ROTATE_REFRESH_TOKEN": True,
    "ALLOW_URI_WILDCARDS": False,
    # http is for native clients on loopback (RFC 8252, section 7.3); which redirects a client may have is checked
    # where clients are registered.
    "ALLOWED_REDIRECT_URI_SCHEMES": ["http", "https"],
    "ALLOW_LOCALHOST_LOOPBACK": True,
    "ALLOWED_SCHEMES": ["https", "http"] if DEMO else ["https"],
    "ACCESS_TOKEN_EXPIRE_SECONDS": 300,
    "ID_TOKEN_EXPIRE_SECONDS": 300,
    "REFRESH_TOKEN_EXPIRE_SECONDS": 12 * 60 * 60,
    "REFRESH_TOKEN_GRACE_PERIOD_SECONDS": 0,
    "AUTHORIZATION_CODE_EXPIRE_SECONDS": 60,
    # Without this a request that names no scope is given every scope there is.
    "DEFAULT_SCOPES": [],
    "SCOPES": {"openid": "Sign in", "offline_access": "Stay signed in"},
    # Its own addresses are never included; entitlements.oauth stands in front.
    "OIDC_ISS_ENDPOINT": f"{CONSOLE_URL}/idp",
    "OAUTH2_VALIDATOR_CLASS": "entitlements.oauth.toolkit.Validator",
    # Its own pages of the back office write rows and show tokens.
    "APPLICATION_ADMIN_CLASS": "governance.back_office.clients.ClientAdmin",
    "ACCESS_TOKEN_ADMIN_CLASS": "entitlements.admin.ToolkitAdmin",
    "REFRESH_TOKEN_ADMIN_CLASS": "entitlements.admin.ToolkitAdmin",
    "ID_TOKEN_ADMIN_CLASS": "entitlements.admin.ToolkitAdmin",
    "GRANT_ADMIN_CLASS": "entitlements.admin.ToolkitAdmin",
    "OAUTH2_GRANT_TYPES_SUPPORTED": [
        "authorization_code",
        "refresh_token",
        "urn:ietf:params:oauth:grant-type:device_code",
    ],
    "OAUTH2_RESPONSE_TYPES_SUPPORTED": ["code"],
    "OIDC_RESPONSE_TYPES_SUPPORTED": ["code"],
}

# ---------------------------------------------------------------------------------------------------------- queue

# The message is an id and a hint: every deadline is checked where it matters, and a sweep finds what was lost.
CELERY_BROKER_URL = REDIS_URL.reveal()
CELERY_BROKER_TRANSPORT = "governance.broker:Transport"  # refuses what none of our processes wrote
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 300,
    # Look for the messages of dead workers every 5 s (redelivery took 101 s with the defaults, 5 s with these).
    "unacked_restore_interval": 5,
    "unacked_restore_throttle": 1,
    "socket_timeout": 30,
    "socket_connect_timeout": 5,
}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_RESULT_BACKEND = None
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_SOFT_TIME_LIMIT = 120
CELERY_TASK_TIME_LIMIT = 180  # shorter than the visibility timeout, or a slow task would run twice at once
CELERY_WORKER_POOL = "governance.worker.pool:Pool"  # one process, in which each queue has threads of its own
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BEAT_SCHEDULER = "celery.beat:Scheduler"  # in memory; the default one pickles its schedule to a file
CELERY_TIMEZONE = "UTC"
