// The only file that sees Boost.Asio and Boost.Beast.
#include "serve/http.h"

#include <algorithm>
#include <array>
#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/read_size.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <condition_variable>
#include <limits>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "base/log.h"
#include "nacre/error.h"

namespace nacre::serve {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;
using boost::system::error_code;
using Clock = std::chrono::steady_clock;
// Of one kind of executor, which compiles to less than those of any.
using Executor = asio::io_context::executor_type;
using Socket = asio::basic_stream_socket<tcp, Executor>;
using Acceptor = asio::basic_socket_acceptor<tcp, Executor>;
using Timer = asio::basic_waitable_timer<Clock, asio::wait_traits<Clock>, Executor>;

std::string_view HttpRequest::header(std::string_view name) const {
  for (const auto& [n, value] : headers)
    if (n == name) return value;
  return {};
}

namespace {

constexpr size_t kFirstRead = 16 << 10;  // most requests come whole in one read of that
constexpr size_t kMostRead = 64 << 10;
constexpr size_t kOneRecord = 64 << 10;  // TLS: answers up to that are put together before
constexpr auto kAcceptPause = std::chrono::milliseconds(100);
constexpr auto kLinger = std::chrono::seconds(1);
// After the stop a connection without a request is closed once nothing came for that long: what a
// client had sent already is answered.
constexpr auto kGrace = std::chrono::milliseconds(250);
constexpr auto kGraceLook = std::chrono::milliseconds(25);

std::string lower(beast::string_view text) {
  std::string s(text);
  for (char& c : s)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return s;
}

HttpRequest head_of(const http::request_header<>& head, const std::string& address) {
  HttpRequest r;
  r.method = std::string(head.method_string());
  const std::string target(head.target());
  const size_t mark = target.find('?');
  r.path = target.substr(0, mark);
  if (mark != target.npos) r.query = target.substr(mark + 1);
  for (const auto& field : head)
    r.headers.emplace_back(lower(field.name_string()), std::string(field.value()));
  r.address = address;
  return r;
}

/// Status line and fields of an answer.
std::string head_text(const HttpResponse& r, unsigned version, bool keep) {
  std::string text = version == 10 ? "HTTP/1.0 " : "HTTP/1.1 ";
  const auto field = [&](std::string_view name, std::string_view value) {
    text.append(name).append(": ").append(value).append("\r\n");
  };
  text += std::to_string(r.status);
  text += ' ';
  const auto words = http::obsolete_reason(http::int_to_status(static_cast<unsigned>(r.status)));
  text.append(words.data(), words.size());
  text += "\r\n";
  field("content-type", r.type);
  field("x-content-type-options", "nosniff");
  for (const auto& [name, value] : r.headers) field(name, value);
  if (!keep) field("connection", "close");
  if (keep && version == 10) field("connection", "keep-alive");
  field("content-length", std::to_string(r.body.size()));
  text += "\r\n";
  return text;
}

class Connection;

}  // namespace

struct HttpServer::Impl {
  Impl(const HttpOptions& o, HttpHandler& h)
      : options(o), handler(h), acceptor(loop), quiet_look(loop) {}

  const HttpOptions options;
  HttpHandler& handler;
  asio::io_context loop{1};
  Acceptor acceptor;
  Timer quiet_look;  ///< for connections to close after the stop
  std::optional<asio::ssl::context> tls;
  std::set<std::shared_ptr<Connection>> open;  ///< used on the loop only, as what follows
  std::map<std::string, size_t> by_address;
  bool stopping = false;
  bool settles = false;  ///< settle_later() was called and settled() was not yet
  Clock::time_point stopped;
  bool cut = false;  ///< a request had no answer at the end
  std::mutex mutex;
  std::condition_variable empty;
  bool all_closed = false;
  std::atomic<uint64_t> connections{0}, accepted{0}, refused{0}, timeouts{0};
  std::atomic<bool> ended{false};  ///< the loop does not run any more
  int port = 0;
  std::thread thread;

  void listen();
  void accept();
  void take(Socket socket);
  void closed(const std::shared_ptr<Connection>& c, const std::string& address);
  void settle_later();
  void begin_stop();
  void close_quiet();
  void close_all();
  void tell_if_empty();
};

namespace {

struct Answer {
  std::shared_ptr<Connection> connection;
  HttpResponse response;
};
/// Of this thread; null: answers go at once.
thread_local std::vector<Answer>* together = nullptr;

class Request final : public Exchange {
 public:
  explicit Request(std::shared_ptr<Connection> connection) : connection_(std::move(connection)) {}
  ~Request() override {
    // Nobody answered: the client is not left waiting.
    if (!answered_)
      answer({500, "application/json", R"({"error":"no answer was made"})", {}, true});
  }
  void answer(HttpResponse response) override;
  void mark_gone() { gone_ = true; }
  /// The connection answers itself.
  void drop() {
    gone_ = true;
    answered_ = true;
  }

 private:
  std::shared_ptr<Connection> connection_;
  std::atomic<bool> answered_{false};
};

/// One connection, plain or with TLS: reads a request, waits for its answer, writes it, reads the
/// next. All functions run on the loop.
class Connection final : public std::enable_shared_from_this<Connection> {
 public:
  Connection(HttpServer::Impl& server, std::string address, Socket socket)
      : server_(server),
        address_(std::move(address)),
        socket_(std::move(socket)),
        deadline_(server.loop) {
    error_code ignored;
    socket_.non_blocking(true, ignored);  // for write_now()
    if (server.tls) tls_.emplace(socket_, *server.tls);
  }
  const std::string& address() const { return address_; }
  HttpServer::Impl& server() { return server_; }

  void start() {
    if (!tls_) return read_head();
    set_deadline(server_.options.header_time);
    tls_->async_handshake(asio::ssl::stream_base::server, then(&Connection::shook_hands));
  }
  /// Ends a connection that waits for a request since before that time.
  void close_if_quiet(Clock::time_point since) {
    if (!idle_ || ending_ || idle_since_ > since) return;
    error_code ignored;
    if (socket_.available(ignored) > 0) return;  // a request, not read yet
    // The read that waits goes on until the client has closed, too, so that nothing is reset.
    ending_ = true;
    socket_.shutdown(tcp::socket::shutdown_send, ignored);
    set_deadline(kLinger);
  }
  /// Whether there is a request whose answer is not sent yet.
  bool busy() const { return !idle_ && !ending_; }
  void close() {
    if (closed_) return;
    closed_ = true;
    end_deadline();
    if (const auto r = current_.lock()) r->mark_gone();
    error_code ignored;
    socket_.shutdown(tcp::socket::shutdown_both, ignored);
    socket_.close(ignored);
    const auto mine = shared_from_this();
    incoming_.reset();
    server_.closed(mine, address_);
  }

  void respond(HttpResponse response) {
    ++turn_;  // a watch that still waits is for the request before
    if (closed_) return;
    keep_ = keep_ && !response.close && !server_.stopping;
    head_ = head_text(response, version_, keep_);
    body_ = head_only_ ? std::string() : std::move(response.body);
    error_code e;
    const size_t sent = write_now(e);
    if (e || sent == head_.size() + body_.size()) return written(e, sent);
    set_deadline(server_.options.write_time);
    write_from(sent, &Connection::written);
  }

 private:
  using Parser = http::request_parser<http::string_body>;
  using Step = void (Connection::*)(error_code, size_t);

  /// What all that waits for the network ends with: one type, so that the templates of Asio are
  /// instantiated once.
  struct Then {
    std::shared_ptr<Connection> self;
    Step step;
    void operator()(error_code e, size_t n = 0) const { (self.get()->*step)(e, n); }
  };
  Then then(Step step) { return {shared_from_this(), step}; }

  void read_some(size_t most, Step step) {
    if (tls_)
      tls_->async_read_some(buffer_.prepare(most), then(step));
    else
      socket_.async_read_some(buffer_.prepare(most), then(step));
  }

  /// What the socket takes without waiting, which is mostly all of the answer.
  size_t write_now(error_code& e) {
    if (tls_) {
      if (head_.size() + body_.size() > kOneRecord) return 0;
      head_ += body_;
      body_.clear();
      return 0;
    }
    const std::array<asio::const_buffer, 2> all = {asio::buffer(head_), asio::buffer(body_)};
    const size_t sent = socket_.write_some(all, e);
    if (e == asio::error::would_block || e == asio::error::try_again) e = {};
    return sent;
  }
  void write_from(size_t sent, Step step) {
    std::array<asio::const_buffer, 2> rest = {asio::buffer(head_), asio::buffer(body_)};
    rest[1] += sent - std::min(sent, head_.size());
    rest[0] += std::min(sent, head_.size());
    if (tls_)
      asio::async_write(*tls_, rest, then(step));
    else
      asio::async_write(socket_, rest, then(step));
  }

  void shook_hands(error_code e, size_t) {
    end_deadline();
    e ? close() : read_head();
  }

  void read_head() {
    if (closed_ || ending_) return close();
    parser_.emplace();
    parser_->header_limit(static_cast<uint32_t>(server_.options.header_bytes));
    parser_->body_limit(std::numeric_limits<uint64_t>::max());  // admit() says what it is
    head_only_ = false;
    idle_ = true;
    idle_since_ = Clock::now();
    // Waiting for a request is one thing, a head that arrives byte by byte another.
    if (buffer_.size() == 0) {
      set_deadline(server_.options.idle_time);
      read_some(kFirstRead, &Connection::got_first);
    } else {
      read_rest_of_head();
    }
  }

  void got_first(error_code e, size_t n) {
    if (e) return close();
    if (ending_) return drain();
    buffer_.commit(n);
    read_rest_of_head();
  }

  void read_rest_of_head() {
    if (closed_) return;
    idle_ = false;
    late_ = false;
    end_deadline();
    parser_->eager(false);
    error_code e;
    if (!parsed(e, 0)) return got_head(e);
    set_deadline(server_.options.header_time);
    read_more(&Connection::got_more_of_head);
  }
  void got_more_of_head(error_code e, size_t n) {
    parsed(e, n) ? read_more(&Connection::got_more_of_head) : got_head(e);
  }

  void read_more(Step step) { read_some(beast::read_size(buffer_, kMostRead), step); }

  /// Parses what was read, and turns the end of the stream into what it means. Whether the head, or
  /// the body after it, still lacks something.
  bool parsed(error_code& e, size_t read) {
    if (e == asio::error::eof) {
      e = {};
      if (parser_->got_some())
        parser_->put_eof(e);
      else
        e = http::error::end_of_stream;
      return false;
    }
    if (e) return false;
    buffer_.commit(read);
    buffer_.consume(parser_->put(buffer_.data(), e));
    if (e == http::error::need_more) e = {};
    return !e && !(parser_->eager() ? parser_->is_done() : parser_->is_header_done());
  }

  void got_head(error_code e) {
    end_deadline();
    if (e == http::error::end_of_stream || closed_) return close();
    if (e && late_) return too_slow("the head of the request took too long");
    if (e == http::error::header_limit) return refuse(431, "the head of the request is too long");
    if (e)
      return e.category() == http::make_error_code(http::error::bad_method).category()
                 ? refuse(400, "this is no HTTP request")
                 : close();
    const auto& head = parser_->get();
    version_ = head.version();
    keep_ = head.keep_alive();
    head_only_ = head.method() == http::verb::head;
    auto request = std::make_shared<Request>(shared_from_this());
    current_ = request;
    request->request = head_of(head.base(), address_);
    request->began = Clock::now();
    if (!request->request.path.starts_with('/') && request->request.path != "*")
      return refuse(400, "the target of the request is no path");
    std::optional<uint64_t> length;
    if (const auto given = parser_->content_length()) length = *given;
    request->request.has_body = parser_->chunked() || length.value_or(0) > 0;
    if (request->request.has_body || parser_->is_done()) {
      auto admission = server_.handler.admit(request->request, length);
      if (admission.refusal) {
        keep_ = false;
        closing_with_body_ = request->request.has_body;
        request->answer(std::move(*admission.refusal));
        return;
      }
      request->memory = std::move(admission.memory);
      parser_->body_limit(admission.body_limit);
      if (length && *length > admission.body_limit) return refuse(413, "the body is too large");
    }
    if (parser_->is_done()) return hand_over(std::move(request));
    incoming_ = std::move(request);
    if (lower(head[http::field::expect]) != "100-continue") return read_body();
    head_ = version_ == 10 ? "HTTP/1.0 100 Continue\r\n\r\n" : "HTTP/1.1 100 Continue\r\n\r\n";
    body_.clear();
    set_deadline(server_.options.write_time);
    write_from(0, &Connection::asked_for_body);
  }

  void asked_for_body(error_code e, size_t) {
    end_deadline();
    e || closed_ ? close() : read_body();
  }

  void read_body() {
    parser_->eager(true);
    error_code e;
    if (buffer_.size() > 0 && !parsed(e, 0)) return got_body(e);
    set_deadline(server_.options.body_time);
    read_more(&Connection::got_more_of_body);
  }
  void got_more_of_body(error_code e, size_t n) {
    if (parsed(e, n)) return read_more(&Connection::got_more_of_body);
    end_deadline();
    got_body(e);
  }

  void got_body(error_code e) {
    if (closed_) return;
    const auto request = std::move(incoming_);
    if (e == http::error::body_limit) return refuse(413, "the body is too large");
    if (e && late_) return too_slow("the body of the request took too long");
    if (e) {
      server_.handler.gone();
      request->mark_gone();
      return close();
    }
    hand_over(request);
  }

  void hand_over(std::shared_ptr<Request> request) {
    request->request.body = std::move(parser_->get().body());
    watch();
    server_.handler.handle(std::move(request));
    server_.settle_later();
  }

  /// Notices a client that goes away while its request is worked on.
  void watch() {
    if (buffer_.size() > 0) return;  // the next request is here already
    socket_.async_wait(tcp::socket::wait_read,
                       [self = shared_from_this(), turn = turn_](error_code e) {
                         if (e || self->closed_ || turn != self->turn_) return;
                         error_code failed;
                         if (self->socket_.available(failed) > 0 && !failed) return;
                         self->server_.handler.gone();
                         self->close();
                       });
  }

  void written(error_code e, size_t) {
    if (closed_) return;
    end_deadline();
    body_.clear();
    if (e || !keep_) {
      // After the stop the next request may be on its way.
      if (!e && (closing_with_body_ || server_.stopping)) return linger();
      return close();
    }
    read_head();
  }

  /// A client that still sends its body would lose the answer to a reset; what comes is read for a
  /// moment.
  void linger() {
    error_code ignored;
    ending_ = true;
    socket_.shutdown(tcp::socket::shutdown_send, ignored);
    set_deadline(kLinger);
    drain();
  }
  void drain() {
    buffer_.clear();
    socket_.async_read_some(buffer_.prepare(kMostRead), then(&Connection::drained));
  }
  void drained(error_code e, size_t n) {
    drained_ += n;
    if (closed_) return;
    if (e || drained_ > (16u << 20)) return close();
    drain();
  }

  /// Ends the read or write that waits after that time, and leaves the connection open for an
  /// answer.
  void set_deadline(std::chrono::milliseconds time) {
    late_ = false;
    deadline_.expires_after(time);
    deadline_.async_wait([self = shared_from_this(), turn = ++deadlines_](error_code e) {
      if (e || self->closed_ || turn != self->deadlines_) return;
      self->late_ = true;
      error_code ignored;
      self->socket_.cancel(ignored);
    });
  }
  void end_deadline() {
    ++deadlines_;
    deadline_.cancel();
  }

  void too_slow(std::string_view reason) {
    ++server_.timeouts;
    refuse(408, reason);
  }

  void refuse(int status, std::string_view reason) {
    keep_ = false;
    closing_with_body_ = true;
    if (const auto r = current_.lock()) r->drop();
    current_.reset();
    if (socket_.is_open()) {
      respond(server_.handler.failure(status, reason));
    } else {
      close();
    }
  }

  HttpServer::Impl& server_;
  const std::string address_;
  Socket socket_;
  std::optional<asio::ssl::stream<Socket&>> tls_;
  Timer deadline_;  ///< of waiting, of the head, the body, the answer and the end
  beast::flat_buffer buffer_;
  std::optional<Parser> parser_;
  std::string head_, body_;            ///< of the answer that is being sent
  std::shared_ptr<Request> incoming_;  ///< whose body is being read
  std::weak_ptr<Request> current_;
  unsigned version_ = 11;
  uint64_t turn_ = 0, drained_ = 0, deadlines_ = 0;
  Clock::time_point idle_since_ = Clock::now();
  bool keep_ = true, head_only_ = false, idle_ = true, closed_ = false, closing_with_body_ = false;
  bool ending_ = false, late_ = false;  ///< nothing more is sent; the deadline has passed
};

void Request::answer(HttpResponse response) {
  if (answered_.exchange(true) || connection_->server().ended) return;
  if (!id.empty()) response.headers.emplace_back("x-request-id", id);
  if (together) return together->push_back({connection_, std::move(response)});
  asio::post(connection_->server().loop,
             [c = connection_, r = std::move(response)]() mutable { c->respond(std::move(r)); });
}

}  // namespace

struct AnswersTogether::List {
  std::vector<Answer> answers;
};

AnswersTogether::AnswersTogether() : list_(std::make_unique<List>()) { together = &list_->answers; }

AnswersTogether::~AnswersTogether() {
  together = nullptr;
  if (list_->answers.empty()) return;
  auto& loop = list_->answers[0].connection->server().loop;
  asio::post(loop, [list = std::shared_ptr<List>(std::move(list_))] {
    for (Answer& a : list->answers) a.connection->respond(std::move(a.response));
  });
}

void HttpServer::Impl::listen() {
  error_code e;
  const auto address =
      asio::ip::make_address(options.host == "localhost" ? "127.0.0.1" : options.host, e);
  if (e)
    fail(Error::Kind::usage, {"'", options.host, "' is no address; --host takes one as 0.0.0.0"});
  if (!options.tls_cert.empty()) {
    tls.emplace(asio::ssl::context::tls_server);
    tls->set_options(asio::ssl::context::default_workarounds | asio::ssl::context::no_tlsv1 |
                     asio::ssl::context::no_tlsv1_1);
    tls->use_certificate_chain_file(options.tls_cert, e);
    if (e) fail(Error::Kind::usage, {options.tls_cert, " is no certificate (PEM): ", e.message()});
    tls->use_private_key_file(options.tls_key, asio::ssl::context::pem, e);
    if (e)
      fail(Error::Kind::usage,
           {options.tls_key, " is not the key (PEM) of ", options.tls_cert, ": ", e.message()});
  }
  const tcp::endpoint endpoint(address, static_cast<uint16_t>(options.port));
  acceptor.open(endpoint.protocol(), e);
  if (!e) acceptor.set_option(asio::socket_base::reuse_address(true), e);
  if (!e) acceptor.bind(endpoint, e);
  if (!e) acceptor.listen(asio::socket_base::max_listen_connections, e);
  if (e)
    fail(Error::Kind::io,
         {"cannot listen on ", options.host, " port ", options.port, ": ", e.message()});
  port = acceptor.local_endpoint().port();
  accept();
}

/// Behind all requests that are here already.
void HttpServer::Impl::settle_later() {
  if (settles) return;
  settles = true;
  asio::post(loop, [this] {
    settles = false;
    handler.settled();
  });
}

void HttpServer::Impl::accept() {
  acceptor.async_accept([this](error_code e, Socket socket) {
    if (stopping && !e) take(std::move(socket));  // it had been open before
    if (stopping || e == asio::error::operation_aborted) return;
    if (e) {  // no descriptors left, say: those that wait are taken when some are free
      auto pause = std::make_shared<Timer>(loop, kAcceptPause);
      pause->async_wait([this, pause](error_code) {
        if (!stopping) accept();
      });
      return;
    }
    accept();
    take(std::move(socket));
  });
}

void HttpServer::Impl::take(Socket socket) {
  error_code e;
  const auto peer = socket.remote_endpoint(e);
  if (e) return;
  const std::string address = peer.address().to_string();
  size_t& here = by_address[address];
  if (open.size() >= options.connections || here >= options.connections_per_address) {
    if (here == 0) by_address.erase(address);
    ++refused;
    return;  // closes the socket
  }
  ++here;
  ++accepted;
  socket.set_option(tcp::no_delay(true), e);
  const auto c = std::make_shared<Connection>(*this, address, std::move(socket));
  open.insert(c);
  connections = open.size();
  c->start();
}

void HttpServer::Impl::closed(const std::shared_ptr<Connection>& c, const std::string& address) {
  if (open.erase(c) == 0) return;
  connections = open.size();
  const auto at = by_address.find(address);
  if (at != by_address.end() && --at->second == 0) by_address.erase(at);
  tell_if_empty();
}

void HttpServer::Impl::tell_if_empty() {
  if (!stopping || !open.empty()) return;
  std::lock_guard lock(mutex);
  all_closed = true;
  empty.notify_all();
}

/// No new connections. Those that are open, also ones that the system has taken and accept() has
/// not seen yet, are served on until they are quiet.
void HttpServer::Impl::begin_stop() {
  stopped = Clock::now();
  error_code e;
  acceptor.non_blocking(true, e);
  for (int i = 0; !e && i < asio::socket_base::max_listen_connections; ++i) {
    Socket socket(loop);
    acceptor.accept(socket, e);
    if (!e) take(std::move(socket));
  }
  error_code ignored;
  acceptor.close(ignored);
  stopping = true;
  tell_if_empty();
  close_quiet();
}

void HttpServer::Impl::close_quiet() {
  const auto now = Clock::now();
  if (now - stopped >= kGrace) {
    const std::vector<std::shared_ptr<Connection>> all(open.begin(), open.end());
    for (const auto& c : all) c->close_if_quiet(now - kGrace);
  }
  quiet_look.expires_after(kGraceLook);
  quiet_look.async_wait([this](error_code e) {
    if (!e) close_quiet();
  });
}

void HttpServer::Impl::close_all() {
  const std::vector<std::shared_ptr<Connection>> all(open.begin(), open.end());
  for (const auto& c : all) {
    cut = cut || c->busy();
    c->close();
  }
  loop.stop();
}

HttpServer::HttpServer(const HttpOptions& options, HttpHandler& handler)
    : impl_(std::make_unique<Impl>(options, handler)) {
  impl_->listen();
  impl_->thread = std::thread([this] {
    for (;;) try {
        impl_->loop.run();
        return;
      } catch (const std::exception& e) {  // out of memory, say: the others are served on
        log_error({"a connection failed: ", e.what()});
      }
  });
}

HttpServer::~HttpServer() { stop(std::chrono::milliseconds(0)); }

int HttpServer::port() const { return impl_->port; }

HttpCounts HttpServer::counts() const {
  return {impl_->connections, impl_->accepted, impl_->refused, impl_->timeouts};
}

bool HttpServer::stop(std::chrono::milliseconds patience) {
  Impl& m = *impl_;
  if (!m.thread.joinable()) return true;
  asio::post(m.loop, [&m] { m.begin_stop(); });
  {
    std::unique_lock lock(m.mutex);
    m.empty.wait_for(lock, patience, [&] { return m.all_closed; });
  }
  asio::post(m.loop, [&m] { m.close_all(); });
  m.thread.join();
  m.ended = true;
  return !m.cut;
}

}  // namespace nacre::serve
