// One page for every link in our mails: it shows a button, and posts the token on a click.
const PAGES = {
  "verify-email": { call: "email/verify", title: ["Confirm your email address", "确认您的邮箱地址"], button: ["Confirm", "确认"], done: ["Your address is confirmed.", "您的邮箱地址已确认。"] },
  "confirm-email": { call: "email/change/confirm", title: ["Confirm your new email address", "确认您的新邮箱地址"], button: ["Confirm", "确认"], done: ["Your new address is confirmed.", "您的新邮箱地址已确认。"] },
  "undo-email-change": { call: "email/change/cancel", title: ["Undo the change of your email address", "撤销邮箱地址更改"], button: ["Undo it", "撤销"], done: ["Undone. All devices are signed out, and a mail with a link to set a new password is on its way.", "已撤销。所有设备均已退出登录，设置新密码的邮件正在发送。"] },
  "not-me": { call: "not-me", title: ["This was not you?", "不是您本人操作？"], button: ["Sign all devices out", "退出所有设备"], done: ["All devices are signed out, and a mail with a link to set a new password is on its way.", "所有设备均已退出登录，设置新密码的邮件正在发送。"] },
  "reset-password": { call: "password/reset", password: true, title: ["Set a new password", "设置新密码"], button: ["Set the password", "设置密码"], done: ["Your password is set. Log in with it.", "密码已设置。请使用新密码登录。"] },
  "accept-invitation": { call: "password/reset", password: true, title: ["Choose a password", "选择密码"], button: ["Choose it", "确定"], done: ["Your password is set. Log in with it.", "密码已设置。请使用该密码登录。"] },
};
const WORDS = {
  password: ["New password", "新密码"],
  missing: ["This link is not complete. Copy the whole of it from the mail.", "链接不完整。请从邮件中复制完整链接。"],
  failed: ["The server cannot be reached. Try again.", "无法连接服务器。请重试。"],
};

const chinese = navigator.language.toLowerCase().startsWith("zh");
const say = ([english, other]) => (chinese ? other : english);
const element = (id) => document.getElementById(id);

const name = location.pathname.split("/").pop();
const page = PAGES[name];
const token = readToken();

// The token does not stay in the address bar or in the history. Until it is used, this tab
// remembers it, so that the page still works when it is loaded again. The browser forgets it with
// the tab, and never sends it.
function readToken() {
  const linked = new URLSearchParams(location.hash.slice(1)).get("token");
  try {
    if (linked) sessionStorage.setItem(name, linked);
    const kept = sessionStorage.getItem(name);
    history.replaceState(null, "", location.pathname);
    return kept;
  } catch {
    // The browser does not let us store anything, so the token stays in the address bar.
    return linked;
  }
}

function forgetToken() {
  try {
    sessionStorage.removeItem(name);
  } catch {
    // The browser does not let us store anything, so there is nothing to remove.
  }
}

// If another link to this page is opened in the same tab, the browser does not load the page again.
// So we load it.
window.addEventListener("hashchange", () => location.reload());

document.documentElement.lang = chinese ? "zh" : "en";
document.title = element("title").textContent = say(page.title);
element("button").textContent = say(page.button);
if (page.password) {
  element("password-label").textContent = say(WORDS.password);
  element("password-label").hidden = element("password").hidden = false;
  element("password").required = true;
}

function tell(text, kind) {
  element("outcome").textContent = text;
  element("outcome").className = kind;
}

if (!token) {
  tell(say(WORDS.missing), "bad");
  element("button").disabled = true;
}

element("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  element("button").disabled = true;
  const body = { token };
  if (page.password) body.new_password = element("password").value;
  try {
    const answer = await fetch(`../api/v1/auth/${page.call}`, {
      method: "POST",
      headers: { "Content-Type": "application/json", "Accept-Language": chinese ? "zh" : "en" },
      body: JSON.stringify(body),
    });
    if (answer.ok) {
      forgetToken();
      element("form").hidden = true;
      tell(say(page.done), "good");
      return;
    }
    const problem = await answer.json();
    tell((problem.errors ?? [problem]).map((error) => error.detail).join(" "), "bad");
  } catch {
    tell(say(WORDS.failed), "bad");
  }
  element("button").disabled = false;
});
