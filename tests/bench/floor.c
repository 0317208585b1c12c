// The floor: what the socket writes of a fan-out cost by themselves.
// usage: floor PORT CONNECTIONS
// Accepts CONNECTIONS requests for an event stream, prints "ready", and then writes what comes on standard input to
// them: frames of two 32-bit integers, TARGET and LENGTH, and LENGTH bytes. TARGET is the number at the end of a
// connection's path, or -1 for all of them. Each frame is one chunk and one write() per connection. Ends at its end.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static char input[1 << 16];
static int held;

static char *take(int length) {  // the next so many bytes of standard input, NULL at its end
  static int used;
  memmove(input, input + used, (size_t)(held -= used));
  used = 0;
  while (held < length) {
    ssize_t n = read(0, input + held, sizeof input - (size_t)held);
    if (n <= 0) return NULL;
    held += (int)n;
  }
  used = length;
  return input;
}

int main(int argc, char **argv) {
  if (argc < 3) { fprintf(stderr, "usage: floor PORT CONNECTIONS\n"); return 2; }
  int total = atoi(argv[2]), one = 1;
  struct rlimit limit;
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(argv[1])) };
  inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 4096)) { perror("floor"); return 1; }
  printf("listening\n");
  fflush(stdout);
  int *conns = calloc((size_t)total, sizeof *conns), *by_number = calloc((size_t)total, sizeof *by_number);
  static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
  char request[8192];
  for (int i = 0; i < total; i++) {
    conns[i] = accept(listener, NULL, NULL);
    setsockopt(conns[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    ssize_t n = read(conns[i], request, sizeof request - 1);
    if (n <= 0 || write(conns[i], head, sizeof head - 1) < 0) return 1;
    request[n] = 0;
    int number;
    if (sscanf(request, "GET /%d", &number) == 1 && number >= 0 && number < total) by_number[number] = conns[i];
  }
  printf("ready\n");
  fflush(stdout);
  static char chunk[(1 << 16) + 32];
  for (char *frame; (frame = take(8)); ) {
    int32_t target, length;
    memcpy(&target, frame, 4);
    memcpy(&length, frame + 4, 4);
    if (length <= 0 || length > (int)sizeof input || !(frame = take(length))) return 1;
    size_t size = (size_t)sprintf(chunk, "%x\r\n", (unsigned)length);
    memcpy(chunk + size, frame, (size_t)length);
    memcpy(chunk + size + length, "\r\n", 2);
    size += (size_t)length + 2;
    if (target >= 0) { if (write(by_number[target], chunk, size) < 0) return 1; continue; }
    for (int i = 0; i < total; i++)
      if (write(conns[i], chunk, size) < 0) return 1;
  }
  return 0;
}
