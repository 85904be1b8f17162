/* SPDX-License-Identifier: Apache-2.0 */
/* config/detached.c - services of a scratch prefix: started into sessions of their own, known again by pid and start */
#include "device/config/detached.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/text.h"
#include "core/sys/spawn.h"

#define PATIENCE_MS  30000 /* until a service answers, or has ended */
#define STEP_MS      20
#define PID_FILE_MAX ((size_t)256)
#define STAT_MAX     ((size_t)4096)
#define WORDS_MAX    ((size_t)16 * 1024) /* of a process' arguments */
#define BOOT_SIZE    40    /* of a UUID as text */
#define LOG_TAIL     ((size_t)2048)
#define LEVEL_MAX    ((size_t)16)

/* One process, for ever: a number that is used again has another start. */
struct process {
	pid_t pid;
	uint64_t start;
	char boot[BOOT_SIZE];
};

/* --- paths --- */

static int
path_below(char out[PLACE_MAX], const struct place *p, const char *dir, const char *name, const char *end,
    struct err *e)
{
	if ((size_t)snprintf(out, PLACE_MAX, "%s%s/%s%s", p->prefix, dir, name, end) >= PLACE_MAX)
		return err_set(e, E_USAGE, "the prefix is too long");
	return 0;
}

int
detached_log(char out[PLACE_MAX], const struct place *p, struct err *e)
{
	return path_below(out, p, "/var/log/aziot", p->service, ".log", e);
}

static int
pid_path(char out[PLACE_MAX], const struct place *p, struct err *e)
{
	return path_below(out, p, "/run/aziot", p->service, ".pid", e);
}

/* The directories of "/var/log/aziot" below the prefix. */
static int
make_dirs(const struct place *p, const char *dir, struct err *e)
{
	char path[PLACE_MAX];
	int r = path_below(path, p, dir, "", "", e);

	return r != 0 ? r : file_mkdir_above(path, 0755, e);
}

/* --- which process it is --- */

/* "1234 (comm) S 1 ...": the state, and the 22nd field; comm may hold anything. */
static bool
parse_stat(char *state, uint64_t *start, const char *text)
{
	const char *at = strrchr(text, ')');
	char number[24];

	if (at == NULL || at[1] != ' ' || at[2] == 0)
		return false;
	*state = at[2];
	for (int field = 2; at != NULL && field < 22; field++)
		at = strchr(at + 1, ' ');
	if (at == NULL)
		return false;
	(void)snprintf(number, sizeof(number), "%.*s", (int)strcspn(at + 1, " \n"), at + 1);
	return text_parse_u64(start, number, UINT64_MAX);
}

/* Of a live process; a zombie is none. */
static bool
start_of(uint64_t *out, pid_t pid)
{
	AUTO_BUF text = BUF_MAX(STAT_MAX);
	char path[64], state;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	return file_read(&text, path, STAT_MAX, NULL) == 0 && parse_stat(&state, out, buf_str(&text)) && state != 'Z' &&
	    state != 'X';
}

static void
boot_id(char out[BOOT_SIZE])
{
	AUTO_BUF text = BUF_MAX(PID_FILE_MAX);

	if (file_read(&text, "/proc/sys/kernel/random/boot_id", PID_FILE_MAX, NULL) != 0)
		buf_reset(&text);
	(void)snprintf(out, BOOT_SIZE, "%.*s", (int)strcspn(buf_str(&text), "\n"), buf_str(&text));
}

/* Up to the next space. */
static const char *
word(char *out, size_t size, const char *text)
{
	size_t n = strcspn(text, " \n");

	(void)snprintf(out, size, "%.*s", (int)n, text);
	text += n;
	return text + (*text != 0);
}

/* What we wrote when we started it.  False: nothing, or nothing that can be read. */
static bool
read_process(struct process *out, const struct place *p)
{
	AUTO_BUF text = BUF_MAX(PID_FILE_MAX);
	char path[PLACE_MAX], pid[24], start[24];
	const char *at;
	uint64_t n = 0;

	if (pid_path(path, p, NULL) != 0 || file_read(&text, path, PID_FILE_MAX, NULL) != 0)
		return false;
	at = word(pid, sizeof(pid), buf_str(&text));
	at = word(start, sizeof(start), at);
	(void)word(out->boot, sizeof(out->boot), at);
	if (!text_parse_u64(&n, pid, INT32_MAX) || n < 2 || !text_parse_u64(&out->start, start, UINT64_MAX))
		return false;
	out->pid = (pid_t)n;
	return true;
}

static int
write_process(const struct place *p, pid_t pid, struct err *e)
{
	struct process x = { .pid = pid };
	AUTO_BUF text = { 0 };
	char path[PLACE_MAX];
	int r = pid_path(path, p, e);

	if (r != 0)
		return r;
	if (!start_of(&x.start, pid))
		return 0; /* it has ended already: whoever waits for it will see that */
	boot_id(x.boot);
	buf_printf(&text, "%d %llu %s\n", (int)pid, (unsigned long long)x.start, x.boot);
	return file_write(path, bytes_of_buf(&text), 0644, e);
}

/* Was it started as this service of this prefix?  Whoever owns the prefix can write any number into its files. */
static bool
is_service(pid_t pid, const struct place *p)
{
	const char *const words[] = { p->service, "--prefix", p->prefix };
	AUTO_BUF all = BUF_MAX(WORDS_MAX);
	AUTO_BUF last = { 0 };
	char path[64];

	for (size_t i = 0; i < N_OF(words); i++) {
		buf_put_u8(&last, 0);
		buf_put_str(&last, words[i]);
	}
	buf_put_u8(&last, 0);
	(void)snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
	return file_read(&all, path, WORDS_MAX, NULL) == 0 && all.n >= last.n &&
	    memcmp(all.p + all.n - last.n, last.p, last.n) == 0;
}

/*
 * A descriptor of that very process, or -1 when it has ended: opened first and compared then, so that a number that was
 * given to another in between is not taken for it.
 */
static int
open_process(const struct process *x, const struct place *p)
{
	char boot[BOOT_SIZE];
	AUTO_FD fd = -1;
	uint64_t start;

	boot_id(boot);
	if (strcmp(boot, x->boot) != 0)
		return -1;
	fd = pidfd_open(x->pid, 0);
	if (fd < 0 || !start_of(&start, x->pid) || start != x->start || !is_service(x->pid, p))
		return -1;
	return TAKE_FD(fd);
}

/* --- how it is --- */

static bool
answers(const struct place *p)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	AUTO_FD fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 || strlen(p->socket) >= sizeof(to.sun_path))
		return false;
	memcpy(to.sun_path, p->socket, strlen(p->socket));
	return connect(fd, (const struct sockaddr *)&to, sizeof(to)) == 0 || errno == EAGAIN;
}

int
detached_look(enum detached_state *out, pid_t *pid, const struct place *p, struct err *e)
{
	struct process x;
	AUTO_FD fd = -1;
	bool noted = read_process(&x, p);

	if (p->prefix[0] == 0)
		return err_set(e, E_USAGE, "only services below a prefix are processes of ours");
	*pid = 0;
	if (noted)
		fd = open_process(&x, p);
	if (fd >= 0) {
		*pid = x.pid;
		*out = answers(p) ? DETACHED_RUNNING : DETACHED_SILENT;
	} else if (answers(p)) {
		*out = DETACHED_FOREIGN;
	} else {
		*out = noted ? DETACHED_DIED : DETACHED_DOWN;
	}
	return 0;
}

bool
detached_is_configured(const struct place *p)
{
	DIR *dir;
	const struct dirent *d;
	bool found = access(p->config_file, F_OK) == 0;

	if (found || (dir = opendir(p->config_dir)) == NULL)
		return found;
	while (!found && (d = readdir(dir)) != NULL)
		found = strlen(d->d_name) > 5 && strcmp(d->d_name + strlen(d->d_name) - 5, ".toml") == 0;
	(void)closedir(dir);
	return found;
}

/* --- start --- */

static int
level_path(char out[PLACE_MAX], const struct place *p, struct err *e)
{
	return path_below(out, p, "/etc/aziot", "log-level", "", e);
}

static int
set_environment(const struct place *p, struct err *e)
{
	AUTO_BUF level = BUF_MAX(LEVEL_MAX);
	char path[PLACE_MAX], value[LEVEL_MAX];
	int r = level_path(path, p, e);

	if (r != 0)
		return r;
	r = file_read(&level, path, LEVEL_MAX - 1, e);
	if (r == E_NOTFOUND)
		return 0;
	if (r != 0)
		return r;
	(void)word(value, sizeof(value), buf_str(&level));
	return setenv("AZIOT_LOG", value, 1) == 0 ? 0 : err_errno(e, E_IO, "AZIOT_LOG");
}

int
detached_set_level(const struct detached *d, const char *level, struct err *e)
{
	AUTO_BUF text = { 0 };
	char path[PLACE_MAX];
	struct place p;
	int r;

	if ((r = place_find(&p, "keyd", d->prefix, e)) != 0 || (r = level_path(path, &p, e)) != 0 ||
	    (r = make_dirs(&p, "/etc/aziot", e)) != 0)
		return r;
	buf_printf(&text, "%s\n", level);
	return file_write(path, bytes_of_buf(&text), 0644, e);
}

/* The end of a log, without the last line's end. */
static void
read_tail(char tail[LOG_TAIL + 1], const char *path)
{
	AUTO_FD fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	off_t end = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
	ssize_t n;

	tail[0] = 0;
	if (end < 0 || (n = pread(fd, tail, LOG_TAIL, end > (off_t)LOG_TAIL ? end - (off_t)LOG_TAIL : 0)) <= 0)
		return;
	while (n > 0 && tail[n - 1] == '\n')
		n--;
	tail[n] = 0;
}

/* The last words of a log, for an error's text: causes stand in lines of their own, behind what they caused. */
static void
last_words(struct buf *out, const char *path)
{
	static const char cause[] = " - caused by: ", mark[] = "] - ";
	char tail[LOG_TAIL + 1], *line;
	const char *words, *because;

	read_tail(tail, path);
	for (;;) {
		AUTO_BUF behind = BUF_MAX(2 * LOG_TAIL);

		line = strrchr(tail, '\n');
		line = line != NULL ? line + 1 : tail;
		because = strstr(line, cause);
		words = because != NULL ? because + sizeof(cause) - 1 : strstr(line, mark);
		if (because == NULL && words != NULL)
			words += sizeof(mark) - 1;
		buf_printf(&behind, "%s%s%s", words != NULL ? words : line, out->n != 0 ? ": " : "", buf_str(out));
		buf_reset(out);
		buf_put_bytes(out, bytes_of_buf(&behind));
		if (because == NULL || line == tail)
			return;
		line[-1] = 0;
	}
}

/* It runs when somebody answers at its socket; it may end before. */
static int
wait_for_answer(const struct place *p, pid_t pid, const char *log, struct err *e)
{
	uint64_t until = clock_monotonic_ms() + PATIENCE_MS;
	AUTO_BUF words = { 0 };
	int status;

	while (!answers(p)) {
		if (waitpid(pid, &status, WNOHANG) == pid) {
			last_words(&words, log);
			return err_set(e, E_UNAVAIL, "aziot-%s ended at once (%s %d): %.250s", p->service,
			    WIFSIGNALED(status) ? "signal" : "status",
			    WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), buf_str(&words));
		}
		if (clock_monotonic_ms() > until)
			return err_set(e, E_UNAVAIL, "aziot-%s does not answer at %.150s; see %.150s", p->service,
			    p->socket, log);
		(void)poll(NULL, 0, STEP_MS);
	}
	return 0;
}

static int
start_one(const struct detached *d, const struct place *p, struct err *e)
{
	const char *const argv[] = { "estuary-agent", p->service, "--prefix", p->prefix, NULL };
	struct spawn s = { .path = d->program, .argv = argv, .control_fd = -1, .detach = true };
	char log[PLACE_MAX];
	AUTO_FD fd = -1;
	pid_t pid;
	int r;

	if ((r = detached_log(log, p, e)) != 0 || (r = make_dirs(p, "/var/log/aziot", e)) != 0 ||
	    (r = set_environment(p, e)) != 0)
		return r;
	fd = open(log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (fd < 0)
		return err_errno(e, E_IO, "%s", log);
	s.stdout_fd = s.stderr_fd = fd;
	if ((r = spawn_start(&pid, &s, e)) != 0)
		return r;
	if ((r = write_process(p, pid, e)) != 0) {
		(void)kill(pid, SIGTERM); /* ours, and not waited for yet: what nobody could find again must not stay */
		return r;
	}
	return wait_for_answer(p, pid, log, e);
}

/* --- all of them --- */

static int
take_lock(int *fd, const struct detached *d, struct err *e)
{
	char path[PLACE_MAX];
	struct place p;
	int r;

	if ((r = place_find(&p, "keyd", d->prefix, e)) != 0 || (r = make_dirs(&p, "/run/aziot", e)) != 0 ||
	    (r = path_below(path, &p, "/run/aziot", "system.lock", "", e)) != 0)
		return r;
	r = file_lock(fd, path, e);
	return r != E_EXISTS ? r :
	    err_set(e, r, "somebody else is starting or stopping the services of %.200s", p.prefix);
}

int
detached_start(const char *done[DETACHED_MAX + 1], const struct detached *d, struct err *e)
{
	enum detached_state state;
	AUTO_FD lock = -1;
	struct place p;
	struct err why;
	size_t n = 0;
	int r = take_lock(&lock, d, e), worst = r;
	pid_t pid;

	done[0] = NULL;
	for (size_t i = 0; r == 0 && d->services[i] != NULL; i++) {
		if ((r = place_find(&p, d->services[i], d->prefix, e)) != 0 ||
		    (r = detached_look(&state, &pid, &p, e)) != 0)
			return r;
		if (state == DETACHED_RUNNING || state == DETACHED_FOREIGN || !detached_is_configured(&p))
			continue;
		if (state == DETACHED_SILENT) {
			worst = err_set(e, E_UNAVAIL, "aziot-%s runs as process %d and does not answer", p.service,
			    (int)pid);
		} else if (start_one(d, &p, &why) == 0) {
			done[n++] = d->services[i];
			done[n] = NULL;
		} else if (worst == 0) {
			/* What depends on it may fail as well: the first failure says why. */
			*e = why;
			worst = why.code;
		}
	}
	return worst;
}

static int
stop_one(bool *was, const struct place *p, struct err *e)
{
	char path[PLACE_MAX];
	struct process x;
	struct pollfd ended = { .fd = -1, .events = POLLIN };
	AUTO_FD fd = -1;
	int r = pid_path(path, p, e);

	*was = false;
	if (r != 0 || !read_process(&x, p))
		return r;
	fd = ended.fd = open_process(&x, p);
	if (fd >= 0) {
		if (pidfd_send_signal(fd, SIGTERM, NULL, 0) != 0 && errno != ESRCH)
			return err_errno(e, E_IO, "aziot-%s (process %d)", p->service, (int)x.pid);
		if (poll(&ended, 1, PATIENCE_MS) != 1)
			return err_set(e, E_UNAVAIL, "aziot-%s (process %d) was told to end and does not", p->service,
			    (int)x.pid);
		(void)waitpid(x.pid, NULL, WNOHANG); /* in case that it is our own child */
		*was = true;
	}
	if (unlink(path) != 0 && errno != ENOENT)
		return err_errno(e, E_IO, "%s", path);
	return 0;
}

int
detached_stop(const char *done[DETACHED_MAX + 1], const struct detached *d, struct err *e)
{
	AUTO_FD lock = -1;
	struct place p;
	struct err why;
	size_t n = 0, all = 0;
	int r = take_lock(&lock, d, e), worst = r;
	bool was;

	done[0] = NULL;
	while (d->services[all] != NULL)
		all++;
	for (size_t i = all; r == 0 && i-- > 0;) {
		if ((r = place_find(&p, d->services[i], d->prefix, e)) != 0)
			return r;
		if (stop_one(&was, &p, &why) != 0) {
			*e = why;
			worst = why.code;
		} else if (was) {
			done[n++] = d->services[i];
			done[n] = NULL;
		}
	}
	return worst;
}
