"""Error messages in the language that a request asks for, as agents since 4.3.1.0 tell them.

`Accept-Language` is read as one single tag: a list of them counts as none (recording `routes-without-auth`).
Only messages are translated, and only to Chinese; the words are those of obshell's own bundles.
"""

import re

BARE_ERROR = "Common.Unexpected"
UNEXPECTED = "Unexpected error: "
TAG = re.compile(r"[A-Za-z]{2,8}(?:[-_][A-Za-z0-9]{1,8})*")
PREFIXES = (("Unauthorized", "认证失败"), ("Task not found", "未找到任务"))
CHINESE = (
    ("Task not found: dag id not match", "未找到任务：dag id not match"),
    ("Task not found: Cluster is not under maintenance", "未找到任务：Cluster is not under maintenance"),
    ("Task not found: Agent is not under maintenance", "未找到任务：Agent is not under maintenance"),
    ("Element not found: %", "未找到资源：%"),
    ("Unexpected error: %", "非预期错误：%"),
    ("Bind JSON failed: %", "绑定 JSON 失败：%"),
    ("Invalid ID: %", "无效的任务通用 ID：%"),
    ("Agent is not holding OceanBase", "agent 未持有 OceanBase 集群连接"),
    ("The current database is not OCS", "当前数据库不是 OCS"),
    ("The current database is useless", "当前 OB 集群不可用"),
    ("Observer process does not exist", "observer 进程不存在"),
    ("Check observer process exist: %", "检查 observer 进程存在失败：%"),
    ("Agent identify is unknown: %", "未知的 agent 身份：%"),
    (
        "X-OCS-Agent-Header or X-OCS-Header not found in http request header",
        "HTTP 请求头中未找到 X-OCS-Agent-Header 或 X-OCS-Header",
    ),
    (
        "Header not found when auto-forwarding request to master",
        "自动转发请求到 'MASTER' 节点时未找到请求头",
    ),
    ("AES key and IV size error", "AES 密钥和 IV 大小错误"),
    ("Decrypted string length is not a multiple of the block size", "解密字符串长度不是块大小的倍数"),
    ("Decrypt http header failed: %", "解密 HTTP 请求头失败：%"),
    ("URI mismatch", "URI 不匹配"),
    ("Authentication expired", "认证信息已过期"),
    ("Authentication failed", "认证失败"),
    ("Invalid timestamp: %, err: %", "无效的时间戳：%，错误：%"),
    ("Agent password is not initialized", "agent 密码未初始化"),
    ("Agent password is incorrect", "agent 密码不正确"),
    ("OceanBase password is incorrect", "OceanBase root 密码不正确"),
    ("Should use agent_password to verify: %", "应该使用 agent_password 进行验证：%"),
    ("Should use oceanbase_password to verify: %", "应该使用 oceanbase_password 进行验证：%"),
    ("Session is invalid", "会话无效"),
    ("Session is expired", "会话已过期"),
    ("Operator % is not supported", "不支持的任务操作 '%'"),
    ("Failed to set DAG retry: DAG state is not failed", "重试 DAG 失败：DAG 未失败"),
    ("Failed to set DAG rollback: DAG state is not failed", "设置 DAG 回滚失败：DAG 未失败"),
    ("Failed to cancel DAG: DAG is finished", "取消 DAG 失败：DAG 已执行完成"),
    ("Failed to pass DAG: DAG is not failed", "跳过 DAG 失败：DAG 未失败"),
    ("Failed to set DAG retry: node % cannot retry", "重试 DAG 失败：节点 % 不能重试"),
    ("Failed to set DAG rollback: node % cannot rollback", "设置 DAG 回滚失败：节点 % 不能回滚"),
    ("Failed to cancel DAG: node % cannot cancel", "取消 DAG 失败：节点 % 不能取消"),
    ("Failed to pass DAG: node % cannot pass", "跳过 DAG 失败：节点 % 不能跳过"),
)
"""English and Chinese, `%` for what is filled in."""


def worded(message: str, error_code: str, accept_language: str) -> str:
    """Return an error's message as that header's value demands; it is English for all but Chinese.

    With the header an error without a class of its own gets the prefix that it lacks without.
    """
    if TAG.fullmatch(accept_language) is None:
        return message
    if error_code == BARE_ERROR and not message.startswith(UNEXPECTED):
        message = UNEXPECTED + message
    chinese = re.split("[-_]", accept_language)[0].lower() == "zh"
    return _chinese(message) if chinese else message


def _chinese(message: str) -> str:
    for english, chinese in CHINESE:
        pattern = re.escape(english).replace("%", "(.*)")
        if match := re.fullmatch(pattern, message, re.DOTALL):
            return _filled(chinese, match.groups())
    for english, chinese in PREFIXES:
        if message.startswith(f"{english}: "):
            return f"{chinese}: {_chinese(message.removeprefix(f'{english}: '))}"
    return message


def _filled(text: str, values: tuple[str, ...]) -> str:
    for value in values:
        text = text.replace("%", value, 1)
    return text
